"""Experiments of other installations: visible as they were, never taken for work done here."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from replicalab.client.lab import Lab
from replicalab.crates.reading import ExportArchive
from replicalab.db.database import Database
from replicalab.db.models import ArtifactRow, ExperimentRow, TaskRow
from replicalab.domain.artifacts import Damage
from replicalab.domain.tasks import TaskKind
from replicalab.engine.damages import note_damage
from replicalab.engine.repairs import Repairs
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.objects import ObjectStore
from tests.contract.api.commands import commands
from tests.contract.api.conftest import MAX_EXPORT_BYTES, TOKEN
from tests.fixtures.crates import (
    AT,
    EXPERIMENT,
    OUTPUTS,
    SPEC,
    files_of,
    forged,
    packed,
    small_archive,
    small_export,
    sums,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

BINARY = {"Content-Type": "application/octet-stream"}
ARCHIVE = small_archive()
FEATURES = OUTPUTS[TaskKind.EMBED][2]


def bring(client: TestClient, archive: bytes, **query: str) -> Any:
    return client.post("/v1/experiments:import", params=query, content=archive, headers=BINARY)


@pytest.fixture
def imported(client: TestClient) -> str:
    """Address of an experiment that ran elsewhere."""
    response = bring(client, ARCHIVE)
    assert response.status_code == 201, response.text
    return str(response.headers["Location"])


def count(database: Database, row: type[Any]) -> int:
    with database.transaction() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(row)) or 0


def test_an_imported_experiment_looks_as_where_it_ran(client: TestClient, imported: str) -> None:
    export, _ = small_export()
    found = client.get(imported).json()
    assert (found["state"], found["owner"]) == ("succeeded", "lab")
    assert found["spec"] == SPEC.model_dump(mode="json")
    assert found["progress"]["fraction"] == 1
    assert found["created_at"] == found["ended_at"] == AT.isoformat().replace("+00:00", "Z")
    assert found["origin"] == {
        "installation": "the lab [next door]",
        "experiment_id": str(EXPERIMENT),
        "owner": "ann",
        "exported_at": AT.isoformat().replace("+00:00", "Z"),
        "archive_sha256": hashlib.sha256(ARCHIVE).hexdigest(),
    }
    tasks = client.get(f"{imported}/tasks").json()
    assert [task["kind"] for task in tasks] == [task.kind for task in export.plan.tasks]
    assert {task["state"] for task in tasks} == {"succeeded"}
    (result,) = client.get(f"{imported}/results").json()["items"]
    assert result["measurement"] == export.results.items[0].measurement.model_dump(mode="json")
    listed = client.get("/v1/experiments").json()["items"]
    assert [item["id"] for item in listed] == [found["id"]]
    assert "experiment-state" in client.get(f"{imported}/events").text


def test_its_artifacts_are_the_bytes_of_the_archive(client: TestClient, imported: str) -> None:
    listed = client.get(f"{imported}/artifacts").json()
    assert {artifact["name"] for artifact in listed} == {name for name, _, _ in OUTPUTS.values()}
    for artifact in listed:
        address = f"{imported}/artifacts/{artifact['task_key']}/{artifact['name']}"
        assert client.get(address).content == OUTPUTS[TaskKind(artifact["task_kind"])][2]


def test_what_was_exported_here_can_be_imported_elsewhere_and_exported_again(
    client: TestClient, finished: str
) -> None:
    archive = client.get(f"{finished}/export", params={"artifacts": "all"}).content
    project = client.post("/v1/projects", json={"name": "elsewhere"}).json()["id"]
    there = bring(client, archive, project=project)
    assert there.status_code == 201, there.text
    location = there.headers["Location"]
    assert there.json()["id"] != finished[-36:]
    for part in ("spec", "state", "created_at", "ended_at"):
        assert there.json()[part] == client.get(finished).json()[part]

    def measurements(path: str) -> list[Any]:
        items = client.get(f"{path}/results").json()["items"]
        return [item["measurement"] for item in items]

    def artifacts(path: str) -> list[Any]:
        return [(a["name"], a["ref"]) for a in client.get(f"{path}/artifacts").json()]

    assert measurements(location) == measurements(finished) != []
    assert artifacts(location) == artifacts(finished) != []
    again = client.get(f"{location}/export", params={"artifacts": "all"}).content
    assert files_of(again)["report.html"] == files_of(archive)["report.html"]


def test_an_imported_experiment_tells_where_it_comes_from_when_exported(
    client: TestClient, imported: str, tmp_path: Path
) -> None:
    (tmp_path / "again.zip").write_bytes(client.get(f"{imported}/export").content)
    with (tmp_path / "again.zip").open("rb") as file:
        origin = ExportArchive(file).plan.experiment.origin
    assert origin is not None
    assert (origin.experiment_id, origin.owner) == (EXPERIMENT, "ann")


@pytest.mark.usefixtures("imported")
def test_imported_tasks_are_never_hits(client: TestClient) -> None:
    plan = client.post("/v1/experiments:validate", json=SPEC.model_dump(mode="json")).json()
    assert plan["cache_hits"] == 0
    assert {task["cache"] for task in plan["tasks"]} == {"miss"}
    submitted = client.post("/v1/experiments", json=SPEC.model_dump(mode="json")).json()
    assert (submitted["state"], submitted["reused_tasks"]) == ("queued", 0)


def test_damaged_artifacts_of_imported_tasks_are_not_made_here(
    client: TestClient, imported: str, database: Database, objects: ObjectStore
) -> None:
    damaged = hashlib.sha256(FEATURES).hexdigest()
    objects.delete(f"cas/{damaged[:2]}/{damaged[2:4]}/{damaged}")
    with database.transaction() as session:
        note_damage(session, damaged, Damage.MISSING)
    before = count(database, TaskRow)
    assert Repairs(database).repair(ArtifactStore(objects)) == 0
    assert count(database, TaskRow) == before
    assert client.get(f"{imported}/export").json()["code"] == "artifact-missing"
    assert bring(client, ARCHIVE).status_code == 200  # brought again, it is whole again
    assert client.get(f"{imported}/export").status_code == 200


def test_the_same_archive_is_the_same_experiment_in_each_project(
    client: TestClient, imported: str, database: Database
) -> None:
    again = bring(client, ARCHIVE)
    assert (again.status_code, again.headers["Location"]) == (200, imported)
    assert count(database, ExperimentRow) == 1
    project = client.post("/v1/projects", json={"name": "elsewhere"}).json()["id"]
    there = bring(client, ARCHIVE, project=project)
    assert there.status_code == 201
    assert there.headers["Location"] != imported
    assert there.json()["project_id"] == project


def damaged_in_the_middle() -> bytes:
    body = bytearray(ARCHIVE)
    body[len(body) // 2] ^= 1
    return bytes(body)


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"no archive",
        ARCHIVE[:-100],
        damaged_in_the_middle(),
        packed(files_of(ARCHIVE) | {"../../escaped": b"x"}),
        forged(
            ARCHIVE, {"results.json": lambda results: results | {"experiment_id": str(uuid4())}}
        ),
    ],
    ids=["nothing", "something else", "broken off", "damaged", "hostile path", "contradiction"],
)
def test_what_is_wrong_leaves_nothing(
    client: TestClient, database: Database, objects: ObjectStore, archive: bytes
) -> None:
    response = bring(client, archive)
    assert (response.status_code, response.json()["code"]) == (422, "invalid-export")
    assert [count(database, row) for row in (ExperimentRow, TaskRow, ArtifactRow)] == [0, 0, 0]
    assert list(objects.listing("cas")) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(client: TestClient) -> None:
    files = files_of(ARCHIVE) | {"bomb": bytes(2 * MAX_EXPORT_BYTES)}
    bomb = packed(files | {"SHA256SUMS": sums(files)})
    assert len(bomb) < MAX_EXPORT_BYTES
    refused = bring(client, bomb)
    assert refused.json()["code"] == "invalid-export"
    assert "unpacks to more" in refused.json()["detail"]
    large = bring(client, bytes(MAX_EXPORT_BYTES + 1))
    assert (large.status_code, large.json()["code"]) == (413, "body-too-large")


def test_parameters_that_this_version_does_not_know_are_refused(client: TestClient) -> None:
    def change(plan: Any) -> Any:
        plan["tasks"][-1] |= {"version": None, "parameters": {"kind": "report", "spec": 1}}
        return plan

    refused = bring(client, forged(ARCHIVE, {"plan.json": change}))
    assert refused.json()["code"] == "invalid-export"
    assert "none that this version knows" in refused.json()["detail"]


def test_a_store_that_is_away_leaves_nothing_to_see(
    client: TestClient, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "objects" / "cas").write_text("where a folder should be")
    response = bring(client, ARCHIVE)
    assert (response.status_code, response.json()["code"]) == (503, "store-unavailable")
    assert [count(database, row) for row in (ExperimentRow, TaskRow, ArtifactRow)] == [0, 0, 0]


def test_a_cancelled_experiment_stays_cancelled_and_can_be_tried_here(
    client: TestClient, submitted: str
) -> None:
    client.post(f"{submitted}:cancel")
    archive = client.get(f"{submitted}/export").content
    location = bring(client, archive).headers["Location"]
    assert client.get(location).json()["state"] == "cancelled"
    assert {task["state"] for task in client.get(f"{location}/tasks").json()} == {"cancelled"}
    retried = client.post(f"{location}:retry")
    assert retried.status_code == 202
    assert (retried.json()["state"], retried.json()["origin"]) == ("queued", None)


def test_a_project_that_is_not_there_takes_nothing(client: TestClient) -> None:
    assert bring(client, ARCHIVE, project=str(uuid4())).json()["code"] == "project-not-found"


@pytest.mark.usefixtures("imported")
def test_the_audit_log_tells_who_imported(client: TestClient) -> None:
    entries = client.get("/v1/audit").json()["items"]
    assert "experiment.import" in {entry["action"] for entry in entries}


def test_only_plain_bytes_are_taken(client: TestClient) -> None:
    response = client.post("/v1/experiments:import", json={})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")


def test_python_and_the_command_line_import(server: str, tmp_path: Path) -> None:
    file = tmp_path / "study.zip"
    file.write_bytes(ARCHIVE)
    sent: list[tuple[int, int]] = []
    with Lab(server, TOKEN) as lab:
        brought = lab.exports.import_file(
            file, on_progress=lambda done, total: sent.append((done, total))
        )
        assert brought.origin is not None
        assert sent[-1] == (len(ARCHIVE), len(ARCHIVE))
        assert lab.results(brought).is_complete
    printed = commands(server, "import-experiment")(str(file))
    assert printed.exit_code == 0, printed.output
    assert UUID(printed.stdout.strip()) == brought.id
