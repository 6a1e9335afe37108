"""Schemathesis: whatever anybody sends, the answers are the ones that are described.

Few examples by default; ``make conformance EXAMPLES=20`` sends more, to a whole installation.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient

from replicalab_api.experiments.examples import SMALL_STUDY
from tests.conformance.principals import Principal, Seeds, seed
from tests.conformance.questions import Asker, ask_at_random, operations_of, walk_along_links

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLES = 3
SEED = 1


@pytest.fixture
def seed_for(client: TestClient, run_all_tasks: Callable[[], None]) -> Callable[[Principal], Seeds]:
    def finish(experiment_id: str) -> None:
        # Later owners find the first one's work done; what waits then are imports, and stays so.
        if client.get(f"/v1/experiments/{experiment_id}").json()["state"] != "succeeded":
            run_all_tasks()

    return lambda principal: seed(client, principal, finish)


@pytest.fixture
def described(client: TestClient, app: FastAPI) -> Any:
    """The description, and the gateway that it describes."""
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    schema.app = app
    return schema


def test_answers_are_as_described(described: Any, seed_for: Callable[[Principal], Seeds]) -> None:
    # One test for all: what Schemathesis makes of the description takes longest, and it keeps it.
    operations = operations_of(described)
    for principal in Principal:
        seeds = seed_for(principal)
        asker = Asker(seeds.headers, seeds.ids, EXAMPLES, SEED)
        for operation in operations:
            ask_at_random(asker, operation)
        assert not asker.tally.failures, principal
        assert asker.tally.operations == {operation.label for operation in operations}


def test_any_walk_along_the_links_is_answered_as_described(
    described: Any, seed_for: Callable[[Principal], Seeds]
) -> None:
    seeds = seed_for(Principal.OWNER)
    asker = Asker(seeds.headers, seeds.ids, EXAMPLES, SEED)
    walk_along_links(asker, described.include(path_regex="^/v1/experiments"))
    assert not asker.tally.failures
    assert asker.tally.succeeded


def test_an_answer_that_is_not_described_is_counted() -> None:
    app = FastAPI()

    @app.get("/fails")
    def fail() -> Response:
        return Response(status_code=500)

    @app.get("/lies")
    def lie(number: int) -> Response:
        return Response("7", media_type="text/plain")

    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    asker = Asker({}, {}, EXAMPLES, SEED)
    for operation in operations_of(schema):
        ask_at_random(asker, operation)
    assert asker.tally.operations == {"GET /fails", "GET /lies"}
    assert asker.tally.classes[5] > 0
    assert asker.tally.undocumented > asker.tally.classes[5]
    titles = {failure.splitlines()[0] for failure in asker.tally.failures}
    assert titles >= {
        "GET /fails: 500: Server error",
        "GET /fails: 500: Undocumented status code",
        "GET /lies: 200: Undocumented Content-Type",
    }


def test_links_lead_from_experiments_to_tasks_and_artifacts(
    client: TestClient, seed_for: Callable[[Principal], Seeds]
) -> None:
    seeded = seed_for(Principal.OWNER).ids
    document = client.get("/openapi.json").json()
    operations = {
        operation["operationId"]: (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    ids = {name: seeded[name] for name in ("experiment_id", "task_key", "name")}
    led = set()
    for source in ("submit_experiment", "list_tasks", "list_artifacts"):
        method, path, operation = operations[source]
        answer = client.request(method, path.format(**ids), json=SMALL_STUDY)
        for link in operation["responses"][str(answer.status_code)]["links"].values():
            found = {
                name: value_of(expression, ids, answer.json())
                for name, expression in link["parameters"].items()
            }
            method, path, _ = operations[link["operationId"]]
            followed = client.request(method, path.format(**found))
            # What is done already cannot be cancelled, but it was found.
            assert followed.status_code in {200, 409}, (source, link, followed.text)
            led.add(link["operationId"])
    assert {"get_experiment", "list_tasks", "list_artifacts", "get_artifact"} <= led


def value_of(expression: str, path_parameters: Mapping[str, str], body: Any) -> str:
    """What a runtime expression of OpenAPI stands for."""
    kind, _, pointer = expression.partition("#/")
    if kind != "$response.body":
        return path_parameters[expression.removeprefix("$request.path.")]
    for step in pointer.split("/"):
        body = body[int(step) if isinstance(body, list) else step]
    return str(body)
