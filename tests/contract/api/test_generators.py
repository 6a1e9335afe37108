"""Bringing a generator: uploaded, imported by the worker's own handler, used, deleted."""

import socket
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from replicalab.db.database import Database
from replicalab.domain.artifacts import ref_of
from replicalab.domain.generators import ImportedGenerator
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Queue
from replicalab.engine.task_store import TaskStore
from replicalab.storage.objects import ObjectStore
from tests.contract.api.conftest import MAX_DIRECT_BYTES, TOKEN

pytestmark = pytest.mark.integration

BINARY = {"Content-Type": "application/octet-stream"}


def bring(client: TestClient, file: Any, *, name: str = "theirs", **query: str) -> Any:
    params = {"name": name, "licence": "CC BY-NC-SA 4.0"} | query
    return client.post("/v1/generators", params=params, content=file, headers=BINARY)


def test_an_uploaded_snapshot_becomes_a_generator(
    client: TestClient, objects: ObjectStore, snapshot: bytes, import_it: Callable[[], None]
) -> None:
    response = bring(client, snapshot)
    assert response.status_code == 202, response.text
    brought = response.json()
    assert response.headers["Location"] == f"/v1/generators/{brought['id']}"
    assert (brought["state"], brought["form"]) == ("importing", None)
    assert brought["sha256"] == ref_of(snapshot, "").sha256
    assert brought["licence"] == "CC BY-NC-SA 4.0"
    import_it()
    ready = client.get(response.headers["Location"]).json()
    assert ready["state"] == "ready"
    assert ready["problem"] is None
    form = ready["form"]
    assert (form["resolution"], form["channels"], form["classes"]) == (8, 1, 10)
    assert client.get("/v1/generators").json()["items"] == [ready]
    assert objects.get(ref_of(snapshot, "").store_key) == snapshot


def test_a_hostile_file_is_refused_with_its_reason(
    client: TestClient, import_it: Callable[[], None]
) -> None:
    file = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."
    location = bring(client, file).headers["Location"]
    import_it()
    refused = client.get(location).json()
    assert refused["state"] == "refused"
    assert "posix.system" in refused["problem"]
    assert refused["form"] is None
    response = client.post("/v1/experiments", json=study())
    assert (response.status_code, response.json()["code"]) == (422, "unknown-generator")


def test_another_try_at_a_cancelled_import_makes_the_generator_ready(
    client: TestClient, snapshot: bytes, import_it: Callable[[], None]
) -> None:
    brought = bring(client, snapshot)
    location, first = brought.headers["Location"], brought.json()["experiment_id"]
    assert client.post(f"/v1/experiments/{first}:cancel").status_code == 200
    cancelled = client.get(location).json()
    assert (cancelled["state"], cancelled["problem"]) == ("failed", "The import was cancelled.")
    retried = client.post(f"/v1/experiments/{first}:retry").json()
    again = client.get(location).json()
    assert (again["state"], again["problem"]) == ("importing", None)
    assert again["experiment_id"] == retried["id"] != first
    import_it()
    assert client.get(location).json()["state"] == "ready"


def test_an_import_whose_generator_was_deleted_cannot_be_tried_again(
    client: TestClient, snapshot: bytes
) -> None:
    brought = bring(client, snapshot)
    experiment = f"/v1/experiments/{brought.json()['experiment_id']}"
    client.post(f"{experiment}:cancel")
    assert client.delete(brought.headers["Location"]).status_code == 204
    refused = client.post(f"{experiment}:retry")
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown-generator")
    assert "import it again" in refused.json()["detail"]


def test_an_import_in_quarantine_needs_attention_until_it_is_let_out(
    client: TestClient, snapshot: bytes, database: Database, import_it: Callable[[], None]
) -> None:
    brought = bring(client, snapshot)
    location, experiment = brought.headers["Location"], brought.json()["experiment_id"]
    tasks = TaskStore(database, lease_seconds=60, max_lost=1)
    task_id = tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    task = tasks.claim(task_id, "w@one:1")
    assert task is not None
    tasks.lose(task.id, task.epoch, "exit code -9")
    shown = client.get(location).json()
    assert shown["state"] == "needs-attention"
    assert "exit code -9" in shown["problem"]
    assert client.delete(location).json()["code"] == "generator-in-use"
    assert client.post(f"/v1/experiments/{experiment}:retry").status_code in {200, 202}
    import_it()
    assert client.get(location).json()["state"] == "ready"


def test_deleting_a_generator_removes_its_file(
    client: TestClient, objects: ObjectStore, import_it: Callable[[], None]
) -> None:
    file = b"no generator at all"
    location = bring(client, file).headers["Location"]
    import_it()
    assert client.delete(location).status_code == 204
    assert client.get(location).json()["code"] == "generator-not-found"
    assert objects.stat(ref_of(file, "").store_key) is None
    assert bring(client, file).status_code == 202


def test_a_file_that_another_generator_needs_stays(
    client: TestClient, objects: ObjectStore, snapshot: bytes, import_it: Callable[[], None]
) -> None:
    first = bring(client, snapshot).headers["Location"]
    bring(client, snapshot, name="again")
    import_it()
    assert client.delete(first).status_code == 204
    assert objects.get(ref_of(snapshot, "").store_key) == snapshot


def study(**generator: str) -> dict[str, Any]:
    imported = ImportedGenerator.model_validate({"name": "theirs"} | generator)
    spec = ExperimentSpec(name="study", generator=imported, t_re=(0, 9), classifier_seeds=(0,))
    return spec.model_dump(mode="json")


def test_an_experiment_uses_a_generator_and_says_for_good_which(
    client: TestClient, snapshot: bytes, import_it: Callable[[], None]
) -> None:
    location = bring(client, snapshot).headers["Location"]
    waiting = client.post("/v1/experiments", json=study())
    assert waiting.json()["code"] == "unknown-generator"
    import_it()
    plan = client.post("/v1/experiments:validate", json=study()).json()
    assert [t["cache"] for t in plan["tasks"] if t["kind"] == "import-generator"] == ["hit"]
    submitted = client.post("/v1/experiments", json=study())
    assert submitted.status_code == 202, submitted.text
    generator = submitted.json()["spec"]["generator"]
    assert generator["sha256"] == ref_of(snapshot, "").sha256
    assert generator["licence"] == "CC BY-NC-SA 4.0"
    refused = client.delete(location)
    assert (refused.status_code, refused.json()["code"]) == (409, "generator-in-use")
    assert submitted.json()["id"] in refused.json()["detail"]
    client.post(f"/v1/experiments/{submitted.json()['id']}:cancel")
    assert client.delete(location).status_code == 204


def test_a_generator_of_another_project_is_unknown(
    client: TestClient, snapshot: bytes, import_it: Callable[[], None]
) -> None:
    project = client.post("/v1/projects", json={"name": "other"}).json()["id"]
    bring(client, snapshot, project=project)
    import_it()
    assert client.post("/v1/experiments", json=study()).json()["code"] == "unknown-generator"
    there = client.post("/v1/experiments", json=study(), params={"project": project})
    assert there.status_code == 202, there.text
    validated = client.post("/v1/experiments:validate", json=study(), params={"project": project})
    assert validated.status_code == 200


def test_a_name_is_given_once(client: TestClient) -> None:
    assert bring(client, b"one").status_code == 202
    again = bring(client, b"two")
    assert (again.status_code, again.json()["code"]) == (409, "name-taken")
    assert len(client.get("/v1/generators").json()["items"]) == 1


def test_a_generator_that_is_being_imported_is_not_deleted(client: TestClient) -> None:
    brought = bring(client, b"one")
    refused = client.delete(brought.headers["Location"])
    assert refused.json()["code"] == "generator-in-use"
    client.post(f"/v1/experiments/{brought.json()['experiment_id']}:cancel")
    cancelled = client.get(brought.headers["Location"]).json()
    assert (cancelled["state"], cancelled["problem"]) == ("failed", "The import was cancelled.")
    assert client.delete(brought.headers["Location"]).status_code == 204


def test_pages_lead_through_all_generators(client: TestClient) -> None:
    names = [f"generator {number}" for number in range(5)]
    for name in names:
        bring(client, name.encode(), name=name)
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = client.get("/v1/generators", params=query).json()
        found += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == names[::-1]
    only = client.get("/v1/generators", params={"name": "TOR 3"}).json()["items"]
    assert [item["name"] for item in only] == ["generator 3"]


def pieces() -> Iterator[bytes]:
    """More than a file may have, without saying so first."""
    for _ in range(MAX_DIRECT_BYTES // 2**20 + 1):
        yield bytes(2**20)


@pytest.mark.parametrize("body", [bytes(MAX_DIRECT_BYTES + 1), pieces()], ids=["told", "chunked"])
def test_a_file_that_is_too_large_leaves_nothing(
    client: TestClient, objects: ObjectStore, body: Any
) -> None:
    response = bring(client, body)
    assert (response.status_code, response.json()["code"]) == (413, "body-too-large")
    assert client.get("/v1/generators").json()["items"] == []
    assert not stored(objects)


def test_a_break_in_the_middle_leaves_nothing(
    server: str, client: TestClient, objects: ObjectStore
) -> None:
    host, port = server.removeprefix("http://").split(":")
    head = (
        "POST /v1/generators?name=theirs&licence=MIT HTTP/1.1\r\n"
        f"Host: {host}\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + bytes(1000))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""  # the gateway has given up
    assert client.get("/v1/generators").json()["items"] == []
    assert not stored(objects)


def test_a_file_whose_import_cannot_be_submitted_leaves_nothing(
    client: TestClient, objects: ObjectStore
) -> None:
    user = client.get("/v1/me").json()["user"]["id"]
    assert client.put(f"/v1/users/{user}/quota", json={"seconds": 0}).status_code == 200
    response = bring(client, b"a file")
    assert response.json()["code"] == "quota-exceeded"
    assert not stored(objects)


def stored(objects: ObjectStore) -> list[str]:
    """Names of everything in the store, half-written files included."""
    folder = objects._folder  # type: ignore[attr-defined]
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        BINARY | {"Content-Encoding": "gzip"},
    ],
)
def test_only_plain_bytes_are_taken(client: TestClient, headers: dict[str, str]) -> None:
    params = {"name": "theirs", "licence": "MIT"}
    response = client.post("/v1/generators", params=params, content=b"x", headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "query", [{}, {"name": "x"}, {"licence": "x"}, {"name": "", "licence": "x"}]
)
def test_name_and_licence_are_asked_for(client: TestClient, query: dict[str, str]) -> None:
    response = client.post("/v1/generators", params=query, content=b"x", headers=BINARY)
    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")


def test_a_project_that_is_not_there_takes_nothing(client: TestClient) -> None:
    assert bring(client, b"x", project=str(uuid4())).json()["code"] == "project-not-found"


def test_an_import_cannot_be_submitted_as_an_experiment(client: TestClient) -> None:
    body = {
        "kind": "generator-import",
        "name": "x",
        "file": ref_of(b"x", "application/octet-stream").model_dump(),
        "licence": "x",
    }
    assert client.post("/v1/experiments", json=body).json()["code"] == "invalid-request"
