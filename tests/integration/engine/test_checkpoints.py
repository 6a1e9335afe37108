"""Checkpoints through a real PostgreSQL, a real child process and a folder of objects."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from replicalab.db.models import CheckpointRow
from replicalab.domain.artifacts import JSON, NamedArtifact
from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.generators import EdmTraining
from replicalab.domain.resources import ExperimentRead, TaskRead
from replicalab.domain.specs import TrainingSpec
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine.checkpoints import KEEP_DAYS, CheckpointSweeper
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.failures import FailureClass
from replicalab.engine.supervisor import ChildProcess, Supervisor
from replicalab.settings import EngineSettings, LocalStoreSettings
from replicalab.storage.checkpoints import Checkpoint, CheckpointStore
from tests.fixtures import handlers
from tests.integration.engine.conftest import LEASE_SECONDS, MAX_LOST, STUDY, Lab

pytestmark = pytest.mark.integration
PATIENCE_SECONDS = 20
DAY_SECONDS = 86_400.0


@pytest.fixture
def sweeper(lab: Lab) -> CheckpointSweeper:
    return CheckpointSweeper(lab.database, lambda: lab.artifacts.objects)


def save(lab: Lab, task: ClaimedTask, body: bytes, number: int = 0) -> Checkpoint:
    """Store ``body`` and its row, as a worker that holds ``task`` does; the row may be refused."""
    store = CheckpointStore(lab.artifacts.objects)
    output = NamedArtifact(name="early.json", ref=lab.artifacts.write(b"early", JSON))
    checkpoint = store.write(
        body, task_key=task.key, epoch=task.epoch, number=number, outputs=(output,)
    )
    lab.tasks.save_checkpoint(task.id, checkpoint)
    return checkpoint


def saved(lab: Lab) -> int:
    with lab.database.transaction() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(CheckpointRow)) or 0


def begun(lab: Lab) -> ClaimedTask:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    task = lab.must_claim()
    assert task.checkpoint is None
    return task


def is_stored(lab: Lab, checkpoint: Checkpoint) -> bool:
    return lab.artifacts.objects.stat(checkpoint.store_key) is not None


def test_the_next_attempt_is_given_what_the_last_one_saved(lab: Lab) -> None:
    task = begun(lab)
    save(lab, task, b"one", 0)
    second = save(lab, task, b"two", 1)
    lab.tasks.lose(task.id, task.epoch, "exit code -9")
    again = lab.must_claim("w2")
    assert again.checkpoint == second
    third = save(lab, again, b"three", 0)
    lab.tasks.lose(again.id, again.epoch, "exit code -9")
    assert lab.must_claim("w3").checkpoint == third


def test_a_worker_whose_epoch_is_stale_overwrites_nothing(lab: Lab) -> None:
    task = begun(lab)
    lab.tasks.lose(task.id, task.epoch, "silent")
    new = lab.must_claim("w2")
    fresh = save(lab, new, b"fresh")
    save(lab, task, b"stale", 7)
    assert saved(lab) == 1
    lab.tasks.lose(new.id, new.epoch, "exit code -9")
    assert lab.must_claim("w3").checkpoint == fresh


def test_a_task_that_saves_between_its_losses_is_not_quarantined(lab: Lab) -> None:
    task = begun(lab)
    for _ in range(MAX_LOST + 1):
        save(lab, task, b"further")
        lab.tasks.lose(task.id, task.epoch, "exit code -9")
        task = lab.must_claim()
    for _ in range(MAX_LOST - 2):
        lab.tasks.lose(task.id, task.epoch, "exit code -9")
        task = lab.must_claim()
    lab.tasks.lose(task.id, task.epoch, "exit code -9")
    assert lab.states()[task.id] is TaskState.QUARANTINED


def test_only_the_newest_checkpoint_of_unfinished_work_is_kept(
    lab: Lab, sweeper: CheckpointSweeper
) -> None:
    task = begun(lab)
    old, new = save(lab, task, b"one", 0), save(lab, task, b"two", 1)
    assert sweeper.sweep() == 1
    assert (is_stored(lab, old), is_stored(lab, new)) == (False, True)
    assert sweeper.sweep() == 0
    assert lab.complete(task)
    assert sweeper.sweep() == 1
    assert not is_stored(lab, new)
    assert saved(lab) == 0


@pytest.mark.parametrize("ending", ["cancelled", "failed"])
def test_work_that_is_given_up_can_be_resumed_for_some_days(
    lab: Lab, sweeper: CheckpointSweeper, pass_time: Callable[[float], None], ending: str
) -> None:
    experiment, _ = lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    task = lab.must_claim()
    checkpoint = save(lab, task, b"half")
    if ending == "cancelled":
        lab.experiments.cancel(experiment.id)
        lab.tasks.stop(task.id, task.epoch)
    else:
        lab.tasks.fail(task.id, task.epoch, FailureClass.INPUT, "no")
    pass_time((KEEP_DAYS - 0.5) * DAY_SECONDS)
    assert sweeper.sweep() == 0
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    again = lab.must_claim()
    assert (again.id != task.id, again.checkpoint) == (True, checkpoint)
    lab.tasks.fail(again.id, again.epoch, FailureClass.INPUT, "no")
    pass_time((KEEP_DAYS + 0.5) * DAY_SECONDS)
    assert sweeper.sweep() == 1


SETTINGS = EngineSettings(lease_seconds=LEASE_SECONDS, beat_seconds=0.1, cancel_grace_seconds=5.0)


@pytest.fixture
def supervisor(lab: Lab) -> Iterator[Supervisor]:
    store = LocalStoreSettings(folder=lab.folder)
    running = Supervisor(
        lab.tasks, lambda: ChildProcess(handlers.handlers, store, "INFO"), SETTINGS, "w1"
    )
    yield running
    running.close()


def submit(lab: Lab) -> ExperimentRead:
    spec = TrainingSpec(
        name="t",
        dataset=DigitsDataset(split_seed=handlers.COUNT_TO_THE_END),
        training=EdmTraining(images=1),
    )
    return lab.experiments.submit(spec, owner="ann", idempotency_key=None)[0]


def first_task(lab: Lab, experiment: ExperimentRead) -> TaskRead:
    return lab.experiments.tasks(experiment.id)[0]


def start(lab: Lab, supervisor: Supervisor) -> threading.Thread:
    task_id = lab.tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    thread = threading.Thread(target=supervisor.run, args=(task_id,))
    thread.start()
    return thread


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def counted(lab: Lab, experiment: ExperimentRead) -> str:
    stored = {a.name: lab.artifacts.read(a.ref) for a in lab.experiments.artifacts(experiment.id)}
    assert stored["begun.json"] == b"begun"
    return stored["train.npz"].decode()


def test_a_killed_task_goes_on_from_its_checkpoint_with_what_it_had_written(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment = submit(lab)
    thread = start(lab, supervisor)
    wait_until(lambda: saved(lab) >= 2)
    assert supervisor.child_pid is not None
    os.kill(supervisor.child_pid, signal.SIGKILL)
    thread.join(PATIENCE_SECONDS)
    assert first_task(lab, experiment).state is TaskState.QUEUED
    start(lab, supervisor).join(PATIENCE_SECONDS)
    starts = [int(number) for number in counted(lab, experiment).split()]
    assert starts[0] == 0
    assert len(starts) == 2
    assert 0 < starts[1] < handlers.COUNT


def test_a_cancelled_task_saves_and_the_next_experiment_goes_on_from_there(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment = submit(lab)
    thread = start(lab, supervisor)
    wait_until(lambda: first_task(lab, experiment).progress > 0.1)
    lab.experiments.cancel(experiment.id)
    thread.join(PATIENCE_SECONDS)
    assert first_task(lab, experiment).state is TaskState.CANCELLED
    again = submit(lab)
    start(lab, supervisor).join(PATIENCE_SECONDS)
    starts = [int(number) for number in counted(lab, again).split()]
    assert starts[1] >= 0.1 * handlers.COUNT


def test_a_checkpoint_that_is_damaged_is_dropped_and_the_task_starts_over(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment = submit(lab)
    thread = start(lab, supervisor)
    wait_until(lambda: first_task(lab, experiment).progress > 0.1)
    supervisor.stop()
    thread.join(PATIENCE_SECONDS)
    with lab.database.transaction() as session:
        session.execute(sa.update(CheckpointRow).values(sha256="0" * 64))
    other = Supervisor(
        lab.tasks,
        lambda: ChildProcess(handlers.handlers, LocalStoreSettings(folder=lab.folder), "INFO"),
        SETTINGS,
        "w2",
    )
    start(lab, other).join(PATIENCE_SECONDS)
    assert counted(lab, experiment) == "0"
    other.close()
