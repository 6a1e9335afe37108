"""Who runs tasks, and taking a worker out of service."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from replicalab.cli.workers import show_workers
from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab
from replicalab.db.database import Database
from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.tasks import Queue, TaskKind
from replicalab.engine.versions import PROTOCOL
from replicalab.engine.workers import Node, Workers
from replicalab.refusals import WorkerNotFound

pytestmark = pytest.mark.integration
NODE = Node("worker@one", Queue.WORKER, "1.0", "cpu")


@pytest.fixture
def lab(client: TestClient) -> Lab:
    return Lab(client=client, backoff=Backoff(patience_seconds=0))


def test_a_worker_appears_with_what_it_says_of_itself(lab: Lab, database: Database) -> None:
    assert Workers(database).see(NODE)
    (worker,) = lab.workers.list()
    assert (worker.node, worker.queue, worker.device) == ("worker@one", Queue.WORKER, "cpu")
    assert worker.drained_at is None
    assert worker.running_tasks == 0


def test_a_drained_worker_stays_out_of_service_until_it_is_resumed(
    lab: Lab, database: Database
) -> None:
    workers = Workers(database)
    workers.see(NODE)
    drained = lab.workers.drain("worker@one", reason="a new card comes")
    assert drained.drain_reason == "a new card comes"
    assert not workers.see(NODE)
    assert lab.workers.resume("worker@one").drained_at is None
    assert workers.see(NODE)


def test_both_are_in_the_audit_log(lab: Lab, client: TestClient, database: Database) -> None:
    Workers(database).see(NODE)
    lab.workers.drain("worker@one")
    lab.workers.resume("worker@one")
    entries = client.get("/v1/audit").json()["items"]
    assert [entry["action"] for entry in entries[:2]] == ["worker.resume", "worker.drain"]
    assert entries[0]["object"] == "worker/worker@one"


def test_nobody_is_not_found(lab: Lab) -> None:
    with pytest.raises(WorkerNotFound):
        lab.workers.drain("worker@nowhere")


def test_a_worker_of_another_version_is_shown_as_such(lab: Lab, database: Database) -> None:
    older = {**KIND_VERSIONS, TaskKind.RECONSTRUCT: KIND_VERSIONS[TaskKind.RECONSTRUCT] - 1}
    Workers(database).see(replace(NODE, kinds=older))
    (worker,) = lab.workers.list()
    assert worker.unlike_kinds == (TaskKind.RECONSTRUCT,)
    assert worker.protocol == PROTOCOL
    console = Console(record=True, width=200)
    show_workers(console, [worker])
    assert "not for: reconstruct" in console.export_text()
