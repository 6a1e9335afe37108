"""An experiment as an archive: whole, readable without the service, or not at all."""

import csv
import hashlib
import io
import subprocess
import tracemalloc
import zipfile
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from replicalab.db.database import Database
from replicalab.db.models import WorkerRow
from replicalab.domain import artifacts as names
from replicalab.domain.artifacts import Damage
from replicalab.domain.exports import ExportedPlan, Included
from replicalab.domain.specs import STORED_SPEC
from replicalab.engine.damages import damages_of, note_damage
from replicalab.engine.exports import export_of
from replicalab.planning.keys import digest_of
from replicalab.settings import KeepingSettings
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.objects import ObjectStore
from replicalab_api.experiments.archives import archive
from replicalab_api.settings import LimitSettings
from replicalab_api.storage.service import LabStorage
from tests.contract.api.conftest import TOKEN
from tests.fixtures.exported import NODE, REPORT_PAGE, Unpacked, unpacked

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

DOCUMENTS = [
    "ro-crate-metadata.json",
    "README.md",
    "spec.json",
    "plan.json",
    "results.json",
    "results.csv",
    "SHA256SUMS",
]
TABLES = {"results.parquet": names.PARQUET, "table.tex": names.LATEX}
REPORT_FILES = ["report.html", "figures/accuracy.png", "figures/accuracy.svg", *TABLES]
LARGE = {names.TRAIN_IMAGES, names.TEST_IMAGES, names.RECONSTRUCTED_IMAGES}


@pytest.fixture
def exported(client: TestClient, finished: str, tmp_path: Path) -> Unpacked:
    response = client.get(f"{finished}/export")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    name = f"replicalab-{finished.rpartition('/')[2]}.zip"
    assert response.headers["content-disposition"] == f'attachment; filename="{name}"'
    return unpacked(response.content, tmp_path / "unpacked")


def test_every_file_has_the_digest_that_is_written_down(exported: Unpacked) -> None:
    checked = subprocess.run(
        ["sha256sum", "--strict", "--check", "SHA256SUMS"],  # noqa: S607
        cwd=exported.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    listed = [line.removesuffix(": OK") for line in checked.stdout.splitlines()]
    assert sorted([*listed, "SHA256SUMS"]) == sorted(exported.names)
    assert (exported.folder / "report.html").read_bytes() == REPORT_PAGE


def entities(document: Any) -> dict[str, Any]:
    """The entities of a manifest by their ids, each of which stands there once."""
    found = {entity["@id"]: entity for entity in document["@graph"]}
    assert len(found) == len(document["@graph"])
    return found


def references(node: Any) -> set[str]:
    """Every id that is referred to inside an entity."""
    if isinstance(node, dict) and set(node) == {"@id"}:
        return {node["@id"]}
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return set().union(*map(references, inner))


def test_the_manifest_is_an_ro_crate_of_all_files(exported: Unpacked) -> None:
    document = exported.json("ro-crate-metadata.json")
    assert document["@context"][0] == "https://w3id.org/ro/crate/1.2/context"
    crate = entities(document)
    descriptor, root = crate["ro-crate-metadata.json"], crate["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.2"}
    assert descriptor["about"] == {"@id": "./"}
    assert root["@type"] == "Dataset"
    assert {"name", "description", "datePublished", "license", "author"} <= set(root)
    assert datetime.fromisoformat(root["datePublished"]).tzinfo is not None
    described = {name for name, entity in crate.items() if entity["@type"] == "File"}
    assert described == {part["@id"] for part in root["hasPart"]}
    assert described == set(exported.names) - {"ro-crate-metadata.json", "SHA256SUMS"}
    for name in described:
        body = (exported.folder / name).read_bytes()
        assert crate[name]["sha256"] == hashlib.sha256(body).hexdigest()
        assert crate[name]["contentSize"] == str(len(body))
        assert "/" in crate[name]["encodingFormat"]
    outside = {"https://w3id.org/ro/crate/1.2"}
    assert set().union(*map(references, document["@graph"])) - outside <= set(crate)
    assert "Profile" in crate[root["conformsTo"]["@id"]]["@type"]
    for name, media_type in TABLES.items():
        assert crate[name]["encodingFormat"] == media_type


def test_the_manifest_tells_of_the_run(exported: Unpacked) -> None:
    crate = entities(exported.json("ro-crate-metadata.json"))
    run = crate[crate["./"]["mentions"]["@id"]]
    assert run["@type"] == "CreateAction"
    assert run["actionStatus"] == {"@id": "http://schema.org/CompletedActionStatus"}
    assert {"@id": "spec.json"} in run["object"]
    made = {result["@id"] for result in run["result"]}
    assert {"results.csv", "report.html"} <= made
    instrument = crate[run["instrument"]["@id"]]
    assert instrument["@type"] == "SoftwareApplication"
    assert instrument["version"] == instrument["softwareVersion"] == NODE.version
    assert {"name", "url"} <= set(instrument)
    assert crate[run["agent"]["@id"]] == {"@id": "#author", "@type": "Person", "name": "lab"}
    assert crate[crate["./"]["publisher"]["@id"]]["name"] == "the contract tests"


@pytest.mark.parametrize(
    ("licence", "entity"), [("CC BY 4.0", "#licence"), ("https://spdx.org/MIT", None)]
)
def test_the_manifest_tells_the_terms_that_were_given(
    client: TestClient, finished: str, tmp_path: Path, licence: str, entity: str | None
) -> None:
    response = client.get(f"{finished}/export", params={"licence": licence})
    crate = entities(unpacked(response.content, tmp_path / "u").json("ro-crate-metadata.json"))
    assert crate["./"]["license"] == {"@id": entity or licence}
    assert crate[entity or licence]["name"] == licence


def test_the_documents_say_what_the_service_says(
    client: TestClient, finished: str, exported: Unpacked
) -> None:
    experiment = client.get(finished).json()
    spec = (exported.folder / "spec.json").read_bytes()
    assert exported.json("spec.json") == experiment["spec"]
    assert hashlib.sha256(spec).hexdigest() == digest_of(STORED_SPEC.validate_json(spec))
    assert exported.json("results.json") == client.get(f"{finished}/results").json()
    rows = list(csv.DictReader(io.StringIO((exported.folder / "results.csv").read_text())))
    assert len(rows) == len(exported.json("results.json")["items"]) > 0
    readme = (exported.folder / "README.md").read_text()
    assert readme.startswith("# three sets of digits\n")
    assert "It succeeded." in readme


def test_the_plan_says_how_every_number_came_to_be(
    client: TestClient, finished: str, exported: Unpacked
) -> None:
    plan = ExportedPlan.model_validate_json((exported.folder / "plan.json").read_bytes())
    tasks = client.get(f"{finished}/tasks").json()
    assert [task.key for task in plan.tasks] == [task["key"] for task in tasks]
    assert [task.parameters for task in plan.tasks] == [task["params"] for task in tasks]
    seen: set[str] = set()
    for task in plan.tasks:
        assert task.version is not None
        assert {one.key for one in task.inputs} <= seen
        seen.add(task.key)
        assert task.environment is not None
        assert (task.environment.version, task.environment.device) == (NODE.version, NODE.device)
        assert NODE.name not in (exported.folder / "plan.json").read_text()
    stored = {(one["task_key"], one["name"]) for one in client.get(f"{finished}/artifacts").json()}
    assert {(task.key, one.name) for task in plan.tasks for one in task.artifacts} == stored


@pytest.mark.parametrize("included", list(Included))
def test_the_caller_says_which_artifacts_come_along(
    client: TestClient, finished: str, tmp_path: Path, included: Included
) -> None:
    response = client.get(f"{finished}/export", params={"artifacts": included})
    found = unpacked(response.content, tmp_path / "unpacked")
    assert found.names[: len(DOCUMENTS)] == DOCUMENTS
    rest = found.names[len(DOCUMENTS) :]
    assert sorted(name for name in rest if "artifacts/" not in name) == sorted(REPORT_FILES)
    of_report = [name in REPORT_FILES or "/report/" in name for name in rest]
    assert of_report == sorted(of_report, reverse=True), "what the report task wrote comes first"
    others = {name.rpartition("/")[2] for name in found.names if name.startswith("artifacts/")}
    large = LARGE | {names.CLASSIFIER_WEIGHTS}
    match included:
        case Included.NONE:
            assert others == set()
        case Included.RESULTS:
            assert {names.TEST_LOGITS, names.FEATURES, names.MEASUREMENTS} <= others
            assert not large & others
        case Included.ALL:
            assert large <= others
            stored = client.get(f"{finished}/artifacts").json()
            assert len(found.names) == len(DOCUMENTS) + len(stored)


def test_only_what_is_not_packed_yet_is_packed(exported: Unpacked) -> None:
    with zipfile.ZipFile(io.BytesIO(exported.body)) as archive:
        methods = {info.filename: info.compress_type for info in archive.infolist()}
    assert methods["report.html"] == zipfile.ZIP_DEFLATED
    assert methods["figures/accuracy.png"] == zipfile.ZIP_STORED
    assert {method for name, method in methods.items() if name.endswith(".npz")} == {
        zipfile.ZIP_STORED
    }


def test_an_experiment_under_way_is_not_exported(client: TestClient, submitted: str) -> None:
    response = client.get(f"{submitted}/export")
    assert (response.status_code, response.json()["code"]) == (409, "experiment-unfinished")
    assert "queued" in response.json()["detail"]


def test_a_cancelled_experiment_says_that_it_is_not_complete(
    client: TestClient, submitted: str, tmp_path: Path
) -> None:
    client.post(f"{submitted}:cancel")
    found = unpacked(client.get(f"{submitted}/export").content, tmp_path / "unpacked")
    assert found.names == DOCUMENTS
    crate = entities(found.json("ro-crate-metadata.json"))
    assert "CANCELLED" in crate["./"]["description"]
    assert crate["#run"]["actionStatus"] == {"@id": "http://schema.org/FailedActionStatus"}
    assert "CANCELLED" in crate["#run"]["error"]
    assert "CANCELLED" in (found.folder / "README.md").read_text()
    assert {task["state"] for task in found.json("plan.json")["tasks"]} == {"cancelled"}


def one_of(client: TestClient, finished: str, name: str) -> Any:
    """The first artifact of this name."""
    found = client.get(f"{finished}/artifacts").json()
    return next(artifact for artifact in found if artifact["name"] == name)


def path_of(objects: ObjectStore, sha256: str) -> Path:
    folder: Path = objects._folder  # type: ignore[attr-defined]
    return folder / f"cas/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def test_a_lost_artifact_is_a_problem_before_the_first_byte(
    client: TestClient, finished: str, objects: ObjectStore
) -> None:
    lost = one_of(client, finished, names.FEATURES)["ref"]["sha256"]
    path_of(objects, lost).unlink()
    response = client.get(f"{finished}/export")
    assert (response.status_code, response.json()["code"]) == (502, "artifact-missing")
    assert lost in response.json()["detail"]
    assert client.get(f"{finished}/export", params={"artifacts": "none"}).status_code == 200


def test_an_artifact_known_to_be_damaged_is_a_problem_before_the_first_byte(
    client: TestClient, finished: str, database: Database
) -> None:
    damaged = one_of(client, finished, names.FEATURES)["ref"]["sha256"]
    with database.transaction() as session:
        note_damage(session, damaged, Damage.CORRUPT)
    response = client.get(f"{finished}/export")
    assert (response.status_code, response.json()["code"]) == (502, "artifact-corrupt")


def test_damage_that_shows_on_the_way_ends_the_archive_before_its_directory(
    client: TestClient, server: str, finished: str, objects: ObjectStore, database: Database
) -> None:
    damaged = one_of(client, finished, names.TEST_LOGITS)["ref"]["sha256"]
    path = path_of(objects, damaged)
    path.write_bytes(b"X" + path.read_bytes()[1:])
    received = bytearray()

    def receive() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with (
            httpx.Client(base_url=server, headers=headers, trust_env=False) as plain,
            plain.stream("GET", f"{finished}/export") as response,
        ):
            assert response.status_code == 200
            for piece in response.iter_raw():
                received.extend(piece)

    with pytest.raises(httpx.RemoteProtocolError):
        receive()
    assert received.startswith(b"PK")
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(received))
    with database.transaction() as session:
        assert damages_of(session, [damaged]) == {damaged: Damage.CORRUPT}


def test_an_archive_is_never_in_memory(
    client: TestClient, finished: str, objects: ObjectStore, database: Database
) -> None:
    size_bytes = 48 * 2**20
    ref = ArtifactStore(objects).write(bytes(size_bytes), names.NPZ)
    with database.transaction() as session:
        export = export_of(
            session, UUID(finished[-36:]), included=Included.NONE, installation="test"
        )
    report = next(task for task in export.plan.tasks if task.artifacts[0].path)
    large = report.artifacts[0].model_copy(update={"ref": ref})
    plan = export.plan.model_copy(
        update={"tasks": (report.model_copy(update={"artifacts": (large,)}),)}
    )
    storage = LabStorage(database, objects, KeepingSettings())
    tracemalloc.start()
    pieces = archive(type(export)(plan, export.spec, export.results), None, objects, storage)
    sent = sum(map(len, pieces))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > size_bytes
    assert peak_bytes < size_bytes / 4


class TestPlaces:
    @pytest.fixture
    def limits(self, limits: LimitSettings) -> LimitSettings:
        return limits.model_copy(update={"exports": 0})

    def test_a_user_has_few_archives_on_their_way(self, client: TestClient, finished: str) -> None:
        response = client.get(f"{finished}/export")
        assert (response.status_code, response.json()["limit"]) == (429, "exports")
        assert response.headers["retry-after"] == "10"


def test_the_archive_can_be_asked_for_without_its_bytes(client: TestClient, finished: str) -> None:
    response = client.head(f"{finished}/export")
    assert (response.status_code, response.content) == (200, b"")


def test_a_wrong_choice_is_pointed_at(client: TestClient, submitted: str) -> None:
    response = client.get(f"{submitted}/export", params={"artifacts": "some"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/artifacts"


def test_the_register_may_have_forgotten_a_worker(
    client: TestClient, finished: str, database: Database, tmp_path: Path
) -> None:
    with database.transaction() as session:
        session.execute(sa.delete(WorkerRow))
    found = unpacked(client.get(f"{finished}/export").content, tmp_path / "unpacked")
    assert {task["environment"] for task in found.json("plan.json")["tasks"]} == {None}
    crate = entities(found.json("ro-crate-metadata.json"))
    assert crate["#replicalab"]["softwareVersion"] == version("replicalab")
