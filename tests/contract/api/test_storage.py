"""The store over REST: damage that readers run into, and the sweep."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from replicalab.cli.storage import show_storage, show_sweep
from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab
from replicalab.db.database import Database
from replicalab.domain.artifacts import JSON, Damage
from replicalab.domain.tasks import Queue
from replicalab.engine.repairs import REPAIR_OWNER, Repairs
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.objects import ObjectStore

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
def lab(client: TestClient) -> Lab:
    return Lab(client=client, backoff=Backoff(patience_seconds=0))


@pytest.fixture
def address(client: TestClient, submitted: str, run_one_task: Callable[[Queue], str]) -> str:
    """Address of the one artifact there is."""
    key = run_one_task(Queue.WORKER)
    return f"{submitted}/artifacts/{key}/output.json"


@pytest.fixture
def stored_file(client: TestClient, tmp_path: Path, address: str) -> Path:
    digest = client.get(address).headers["etag"].strip('"')
    return tmp_path / "objects" / f"cas/{digest[:2]}/{digest[2:4]}/{digest}"


@pytest.mark.parametrize("damage", Damage)
def test_what_a_reader_finds_damaged_is_made_again_and_served_again(
    client: TestClient,
    lab: Lab,
    database: Database,
    objects: ObjectStore,
    run_one_task: Callable[[Queue], str],
    address: str,
    stored_file: Path,
    damage: Damage,
) -> None:
    whole = stored_file.read_bytes()
    if damage is Damage.CORRUPT:
        stored_file.write_bytes(b"?" + whole[1:])
    else:
        stored_file.unlink()
    for _ in range(2):  # the second time it is known, and not read any more
        answer = client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (502, f"artifact-{damage}")
    (known,) = lab.storage.get().damaged
    assert (known.sha256, known.damage) == (stored_file.name, damage)
    assert Repairs(database).repair(ArtifactStore(objects)) == 1
    while run_one_task(Queue.WORKER) not in address:
        pass
    assert client.get(address).content == whole
    assert lab.storage.get().damaged == []
    assert REPAIR_OWNER in {use["owner"] for use in client.get("/v1/usage").json()}


def test_a_part_of_what_is_known_to_be_corrupt_is_not_served_either(
    client: TestClient, address: str, stored_file: Path
) -> None:
    stored_file.write_bytes(b"?" + stored_file.read_bytes()[1:])
    assert client.get(address).status_code == 502
    assert client.get(address, headers={"Range": "bytes=5-9"}).status_code == 502


def test_a_sweep_looks_everywhere_and_says_what_it_would_free(
    lab: Lab, objects: ObjectStore, address: str
) -> None:
    orphan = ArtifactStore(objects).write(b"nobody's", JSON)
    parts = list(lab.storage.sweep())
    assert all(part.dry_run for part in parts)
    assert parts[-1].next_position is None
    assert sum(part.kept_objects for part in parts) == 1
    assert sum(part.waiting_bytes for part in parts) == orphan.size_bytes
    assert sum(part.freed_objects for part in parts) == 0
    assert lab.storage.get().orphaned_objects == 0


def test_only_a_sweep_that_may_remove_is_in_the_audit_log(lab: Lab, client: TestClient) -> None:
    list(lab.storage.sweep(dry_run=True))
    list(lab.storage.sweep(dry_run=False))
    actions = [entry["action"] for entry in client.get("/v1/audit").json()["items"]]
    assert actions.count("storage.sweep") >= 1
    assert len(set(actions)) == 1


@pytest.mark.parametrize("query", ["position=512", "position=-1", "position=x", "dry_run=perhaps"])
def test_a_sweep_refuses_what_it_does_not_know(client: TestClient, query: str) -> None:
    assert client.post(f"/v1/storage:sweep?{query}").status_code == 422


def test_the_command_line_tells_sizes_and_damage(
    client: TestClient, lab: Lab, address: str, stored_file: Path
) -> None:
    size_bytes = stored_file.stat().st_size
    stored_file.unlink()
    client.get(address)
    console = Console(file=io.StringIO(), width=120, color_system=None)
    show_storage(console, lab.storage.get())
    show_sweep(console, lab.storage.sweep())
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert stored_file.name in shown
    assert "missing" in shown
    assert "would be freed: 0 objects, 0 bytes" in shown
    assert size_bytes > 0
