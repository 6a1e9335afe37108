"""A real training through the real engine, its process killed in the middle."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
import torch

from replicalab.db.models import CheckpointRow
from replicalab.domain.tasks import Queue, TaskKind
from replicalab.engine.handlers import MemoryContext
from replicalab.engine.supervisor import ChildProcess, Supervisor
from replicalab.planning.plan import plan
from replicalab.settings import EngineSettings, LocalStoreSettings
from tests.fixtures import training
from tests.integration.engine.conftest import LEASE_SECONDS, Lab

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PATIENCE_SECONDS = 90.0


@pytest.fixture
def supervisor(lab: Lab) -> Iterator[Supervisor]:
    store = LocalStoreSettings(folder=lab.folder)
    running = Supervisor(
        lab.tasks,
        lambda: ChildProcess(training.handlers, store, "INFO"),
        EngineSettings(lease_seconds=LEASE_SECONDS, beat_seconds=0.1),
        "w1",
    )
    yield running
    running.close()


@pytest.fixture
def undisturbed() -> Iterator[dict[str, bytes]]:
    """What the same tasks write in this process, one after the other."""
    threads = torch.get_num_threads()
    handlers = training.handlers()
    dataset, trained = (task.params for task in plan(training.SPEC).tasks)
    images = MemoryContext()
    handlers[TaskKind.PREPARE_DATASET](images, dataset)
    context = MemoryContext({"train": [images.outputs["train.npz"]]})
    handlers[TaskKind.TRAIN_GENERATOR](context, trained)
    yield context.outputs
    torch.set_num_threads(threads)


def start(lab: Lab, supervisor: Supervisor) -> threading.Thread:
    task_id = lab.tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    thread = threading.Thread(target=supervisor.run, args=(task_id,))
    thread.start()
    return thread


def wait_for_a_checkpoint(lab: Lab) -> None:
    count = sa.select(sa.func.count()).select_from(CheckpointRow)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with lab.database.transaction() as session:
            if session.scalar(count):
                return
        time.sleep(0.05)
    pytest.fail("no checkpoint was saved")


def test_a_killed_training_ends_with_the_bytes_of_one_that_was_left_alone(
    lab: Lab, supervisor: Supervisor, undisturbed: dict[str, bytes]
) -> None:
    experiment, _ = lab.experiments.submit(training.SPEC, owner="ann", idempotency_key=None)
    start(lab, supervisor).join(PATIENCE_SECONDS)
    thread = start(lab, supervisor)
    wait_for_a_checkpoint(lab)
    assert supervisor.child_pid is not None
    os.kill(supervisor.child_pid, signal.SIGKILL)
    thread.join(PATIENCE_SECONDS)
    start(lab, supervisor).join(PATIENCE_SECONDS)
    task = lab.experiments.tasks(experiment.id)[1]
    assert (task.state.value, task.attempts) == ("succeeded", 2)
    stored = {a.name: lab.artifacts.read(a.ref) for a in lab.experiments.artifacts(experiment.id)}
    assert {name: stored[name] for name in undisturbed} == undisturbed
