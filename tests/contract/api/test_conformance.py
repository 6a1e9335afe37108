"""Schemathesis: whatever anybody sends, the answers are the ones that are described.

Few examples by default; ``REPLICALAB_EXAMPLES=200 pytest tests/contract/api/test_conformance.py``
sends more.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi

from replicalab.domain.accounts import DEFAULT_PROJECT_ID, Role
from replicalab_api.experiments.examples import SMALL_STUDY
from tests.contract.api.accounts.conftest import PASSWORD
from tests.contract.api.conftest import TOKEN
from tests.contract.api.test_generators import BINARY

pytestmark = [pytest.mark.integration, pytest.mark.slow]

EXAMPLES = int(os.environ.get("REPLICALAB_EXAMPLES", "3"))
# Event streams have no end while an experiment waits, nor have held answers; their own tests
# cover them.
STREAMS = "/events$"

CHECKS = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
    openapi.missing_required_header,
    openapi.unsupported_method,
    openapi.allow_header_conformance,
    openapi.use_after_free,
    openapi.ensure_resource_availability,
]
"""All but two: rules between fields, which no schema tells, refuse what is valid by itself
(positive_data_acceptance); and nobody at all is a principal of its own here (ignored_auth)."""

Sends = Callable[[Any], None]


def quick(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=5,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def seeded(client: TestClient, run_all_tasks: Callable[[], None]) -> Mapping[str, str]:
    """Ids of things that Ann has, by the names of path parameters; ``token`` is hers."""
    body = {"name": "ann", "role": Role.RESEARCHER, "password": PASSWORD}
    user = client.post("/v1/users", json=body).json()["id"]
    everything = {"scopes": ["read", "write", "tokens"], "user_id": user}
    token = client.post("/v1/tokens", json=everything | {"name": "hers"}).json()["token"]
    ann = TestClient(client.app, headers={"Authorization": f"Bearer {token}"})
    experiment = ann.post("/v1/experiments", json=SMALL_STUDY).json()["id"]
    run_all_tasks()
    artifact = ann.get(f"/v1/experiments/{experiment}/artifacts").json()[0]
    hook = ann.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"}).json()["id"]
    delivery = ann.post(f"/v1/webhooks/{hook}:test").json()["id"]
    imports = {
        f"{noun}_id": ann.post(
            f"/v1/{noun}s", params={"name": "hers", "licence": "CC0"}, content=b"?", headers=BINARY
        ).json()["id"]
        for noun in ("dataset", "generator")
    }
    file = {"kind": "dataset", "sha256": "0" * 64, "size_bytes": 1}
    upload = ann.post("/v1/uploads", json=file).json()["id"]
    spare = ann.post("/v1/tokens", json={"name": "spare"}).json()["id"]
    return imports | {
        "token": token,
        "experiment_id": experiment,
        "task_key": artifact["task_key"],
        "name": artifact["name"],
        "webhook_id": hook,
        "delivery_id": delivery,
        "upload_id": upload,
        "number": "1",
        "token_id": spare,
        "project_id": str(DEFAULT_PROJECT_ID),
        "user_id": user,
        "slug": "forbidden",
    }


@pytest.fixture(params=["an administrator", "its owner", "somebody else", "nobody"])
def headers(
    request: pytest.FixtureRequest, client: TestClient, seeded: Mapping[str, str]
) -> dict[str, str]:
    """What a principal shows."""
    match request.param:
        case "an administrator":
            return {"Authorization": f"Bearer {TOKEN}"}
        case "its owner":
            return {"Authorization": f"Bearer {seeded['token']}"}
        case "somebody else":
            user = client.post("/v1/users", json={"name": "bob"}).json()["id"]
            body = {"name": "his", "user_id": user}
            token = client.post("/v1/tokens", json=body).json()["token"]
            return {"Authorization": f"Bearer {token}"}
        case _:
            return {}


def test_answers_are_as_described(
    app: FastAPI,
    client: TestClient,
    seeded: Mapping[str, str],
    headers: dict[str, str],
) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    schema.app = app
    for found in schema.exclude(path_regex=STREAMS).get_all_operations():
        assert isinstance(found, Ok)
        for mode in schemathesis.GenerationMode:
            check(found.ok(), mode, seeded, headers)


def check(
    operation: Any,
    mode: schemathesis.GenerationMode,
    seeded: Mapping[str, str],
    headers: dict[str, str],
) -> None:
    names = {parameter.name for parameter in operation.path_parameters}
    known = {name: seeded[name] for name in names & seeded.keys()}

    @quick(EXAMPLES)
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    def send(case: Any, is_known: bool) -> None:
        if is_known and mode.is_positive:
            case.path_parameters.update(known)
        validate(case, headers)

    with suppress(Unsatisfiable):  # an operation without parameters takes nothing wrong
        send()


def without_waiting(case: Any) -> None:
    """Take out of a query what would hold the answer back."""
    if case.query:
        case.query.pop("wait", None)


def validate(case: Any, headers: dict[str, str]) -> None:
    """Send ``case`` and check that the answer is as described."""
    without_waiting(case)
    case.validate_response(case.call(headers=headers), checks=CHECKS, headers=headers)


def test_any_walk_along_the_links_is_answered_as_described(
    app: FastAPI, client: TestClient, seeded: Mapping[str, str]
) -> None:
    shown = {"Authorization": f"Bearer {seeded['token']}"}
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    schema.app = app
    chosen = schema.include(path_regex="^/v1/experiments").exclude(path_regex=STREAMS)
    linked: Any = chosen.as_state_machine()
    called: set[tuple[str, int]] = set()

    class Machine(linked):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            without_waiting(case)

        def get_call_kwargs(self, _case: Any) -> dict[str, Any]:
            return {"headers": shown}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, checks=CHECKS, headers=shown)
            called.add((case.operation.label, response.status_code))

    Machine.run(settings=quick(EXAMPLES * 5))
    assert called


def test_links_lead_from_experiments_to_tasks_and_artifacts(
    client: TestClient, seeded: Mapping[str, str]
) -> None:
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
