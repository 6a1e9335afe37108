"""Where and how often failed work is tried again."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.generators import EdmTraining
from replicalab.domain.specs import TrainingSpec
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue, TaskKind
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.failures import ELSEWHERE, FailureClass
from replicalab.engine.supervisor import ChildProcess, Supervisor
from replicalab.engine.workers import ALIVE_MINUTES, ELSEWHERE_MINUTES, Node, Workers
from replicalab.settings import EngineSettings, LocalStoreSettings
from tests.fixtures import handlers
from tests.integration.engine.conftest import LEASE_SECONDS, STUDY, Lab

pytestmark = pytest.mark.integration
PassTime = Callable[[float], None]
HERE, THERE = "worker@here:1", "worker@there:1"


@pytest.fixture
def register(lab: Lab) -> Workers:
    return Workers(lab.database)


def show_up(register: Workers, worker: str, queue: Queue = Queue.WORKER) -> None:
    register.see(Node(worker.rpartition(":")[0], queue, "1", "cpu"))


def failed_here(lab: Lab, pass_time: PassTime, failure: FailureClass) -> ClaimedTask:
    """A task that failed on the one node and waits again."""
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    task = lab.must_claim(HERE)
    assert lab.tasks.fail(task.id, task.epoch, failure, "it failed")
    pass_time(15)
    assert lab.reconciler.queue_due_retries() == 1
    return task


@pytest.mark.parametrize("failure", sorted(ELSEWHERE))
def test_what_may_be_the_nodes_fault_is_tried_on_another_node(
    lab: Lab, register: Workers, pass_time: PassTime, failure: FailureClass
) -> None:
    task = failed_here(lab, pass_time, failure)
    show_up(register, HERE)
    show_up(register, THERE)
    assert lab.tasks.next_queued(Queue.WORKER, HERE) is None
    assert lab.tasks.claim(task.id, HERE) is None
    assert lab.tasks.next_queued(Queue.WORKER, THERE) == task.id
    assert lab.tasks.claim(task.id, THERE) is not None


def test_other_failures_are_tried_wherever_there_is_room(
    lab: Lab, register: Workers, pass_time: PassTime
) -> None:
    task = failed_here(lab, pass_time, FailureClass.DEPENDENCY)
    show_up(register, HERE)
    show_up(register, THERE)
    assert lab.tasks.claim(task.id, HERE) is not None


def test_a_node_that_is_alone_tries_again_itself(
    lab: Lab, register: Workers, pass_time: PassTime
) -> None:
    task = failed_here(lab, pass_time, FailureClass.BUG)
    show_up(register, HERE)
    assert lab.tasks.next_queued(Queue.WORKER, HERE) == task.id
    assert lab.tasks.claim(task.id, HERE) is not None


@pytest.mark.parametrize("why", ["gone", "drained", "of another queue"])
def test_a_node_that_cannot_take_it_is_not_waited_for(
    lab: Lab, register: Workers, pass_time: PassTime, why: str
) -> None:
    show_up(register, THERE, Queue.METRICS if why == "of another queue" else Queue.WORKER)
    if why == "drained":
        with lab.database.transaction() as session:
            register.drain(session, "worker@there", "a new card")
    if why == "gone":
        pass_time(60 * ALIVE_MINUTES + 1)
    task = failed_here(lab, pass_time, FailureClass.BUG)
    show_up(register, HERE)
    assert lab.tasks.claim(task.id, HERE) is not None


def test_a_node_that_is_busy_is_not_waited_for_without_end(
    lab: Lab, register: Workers, pass_time: PassTime
) -> None:
    task = failed_here(lab, pass_time, FailureClass.RESOURCE)
    pass_time(60 * ELSEWHERE_MINUTES + 1)
    show_up(register, HERE)
    show_up(register, THERE)
    assert lab.tasks.claim(task.id, HERE) is not None


def test_other_work_is_found_behind_what_another_node_should_take(
    lab: Lab, register: Workers, pass_time: PassTime
) -> None:
    failed_here(lab, pass_time, FailureClass.BUG)
    show_up(register, HERE)
    show_up(register, THERE)
    spec = TrainingSpec(
        name="t", dataset=DigitsDataset(split_seed=5), training=EdmTraining(images=1)
    )
    lab.experiments.submit(spec, owner="bob", idempotency_key=None)
    task_id = lab.tasks.next_queued(Queue.WORKER, HERE)
    assert task_id is not None
    assert lab.tasks.claim(task_id, HERE) is not None


def test_a_task_that_outruns_its_limit_is_ended_tried_once_more_and_fails(
    lab: Lab, tmp_path: Path, pass_time: PassTime
) -> None:
    store = LocalStoreSettings(folder=tmp_path / "artifacts")
    settings = EngineSettings(
        lease_seconds=LEASE_SECONDS,
        beat_seconds=0.1,
        limits_seconds={TaskKind.PREPARE_DATASET: 3.0},
    )
    supervisor = Supervisor(
        lab.tasks, lambda: ChildProcess(handlers.handlers, store, "INFO"), settings, "w1"
    )
    spec = TrainingSpec(
        name="t",
        dataset=DigitsDataset(split_seed=handlers.RUN_UNTIL_STOPPED),
        training=EdmTraining(images=1),
    )
    experiment, _ = lab.experiments.submit(spec, owner="ann", idempotency_key=None)
    for state in (TaskState.RETRY_WAIT, TaskState.FAILED):
        pid, began = supervisor.child_pid, time.monotonic()
        task_id = lab.tasks.next_queued(Queue.WORKER)
        assert task_id is not None
        assert supervisor.run(task_id)
        assert time.monotonic() - began < 20
        assert supervisor.child_pid != pid
        task = lab.experiments.tasks(experiment.id)[0]
        assert (task.state, task.error_class) == (state, "timeout")
        assert task.error is not None
        assert "ran longer than" in task.error
        pass_time(30)
        lab.reconciler.queue_due_retries()
    supervisor.close()


def test_limits_are_set_by_kind() -> None:
    settings = EngineSettings(limit_seconds=10, limits_seconds={TaskKind.REPORT: 5})
    assert settings.limit_of(TaskKind.REPORT) == 5
    assert settings.limit_of(TaskKind.EMBED) == 10
    assert EngineSettings().limit_of(TaskKind.TRAIN_GENERATOR) > EngineSettings().limit_seconds
