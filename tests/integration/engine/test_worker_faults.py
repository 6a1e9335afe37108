"""Workers that die, are killed or run out of something at the worst moment."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import redis
import sqlalchemy as sa

from replicalab.db.models import TaskLeaseRow, TaskRow
from replicalab.domain.artifacts import ref_of
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine.doorbells import DOORBELL, Doorbells, celery_app
from replicalab.engine.supervisor import Supervisor
from replicalab.engine.task_store import BeatAnswer
from tests.fixtures import handlers
from tests.fixtures.dying_service import EXIT_CODE
from tests.integration.engine.conftest import LEASE_SECONDS, MAX_LOST, STUDY, Lab
from tests.integration.engine.running import (
    PATIENCE_SECONDS,
    SCHEDULER,
    WORKER,
    Start,
    first_task,
    has_state,
    run_next,
    start_next,
    submit,
    wait_until,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PassTime = Callable[[float], None]
DYING = "tests.fixtures.dying_service"
TRAIN = ref_of(b"train", "application/json")
RIVALS = 4


def only_task_id(lab: Lab) -> int:
    with lab.database.transaction() as session:
        return session.scalars(sa.select(TaskRow.id).order_by(TaskRow.id)).first() or 0


def test_a_worker_that_dies_between_storing_and_committing_costs_one_attempt(
    lab: Lab, start: Start
) -> None:
    start(SCHEDULER)
    dying = start(DYING, DIE_AT="before-commit")
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(lambda: dying.exit_code == EXIT_CODE)
    assert lab.artifacts.is_present(TRAIN)
    assert lab.experiments.artifacts(experiment.id) == []
    start(WORKER)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))
    assert lab.attempts(only_task_id(lab)) == ["lost", "succeeded"]
    assert TRAIN in [artifact.ref for artifact in lab.experiments.artifacts(experiment.id)]


def test_a_worker_that_dies_right_after_its_commit_has_succeeded_once(
    lab: Lab, start: Start, valkey_url: str
) -> None:
    start(SCHEDULER)
    dying = start(DYING, DIE_AT="after-commit")
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(lambda: dying.exit_code == EXIT_CODE)
    assert first_task(lab, experiment).state is TaskState.SUCCEEDED
    Doorbells(celery_app(valkey_url)).ring(Queue.WORKER, only_task_id(lab))
    start(WORKER)
    with redis.Redis.from_url(valkey_url) as broker:
        wait_until(lambda: broker.llen("replicalab:worker") == 0)
    assert lab.attempts(only_task_id(lab)) == ["succeeded"]


def test_a_worker_that_dies_before_its_first_beat_loses_its_task(lab: Lab, start: Start) -> None:
    start(SCHEDULER)
    dying = start(DYING, DIE_AT="after-claim")
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(lambda: dying.exit_code == EXIT_CODE)
    wait_until(lambda: "fell silent" in (first_task(lab, experiment).error or ""))
    assert lab.attempts(only_task_id(lab))[0] == "lost"


def test_a_claim_whose_lease_is_missing_is_reaped_as_well(lab: Lab, pass_time: PassTime) -> None:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    task = lab.must_claim()
    with lab.database.transaction() as session:
        session.execute(sa.delete(TaskLeaseRow))
    assert lab.reconciler.reap_expired_leases() == 0
    pass_time(LEASE_SECONDS + 1)
    assert lab.reconciler.reap_expired_leases() == 1
    assert lab.states()[task.id] is TaskState.QUEUED


def test_fifty_doorbells_for_one_task_are_one_attempt(
    lab: Lab, start: Start, valkey_url: str
) -> None:
    experiment = submit(lab, handlers.SUCCEED)
    doorbells = Doorbells(celery_app(valkey_url))
    for _ in range(50):
        doorbells.ring(Queue.WORKER, only_task_id(lab))
    for _ in range(RIVALS):  # each hears a doorbell a second
        start(WORKER)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))
    with redis.Redis.from_url(valkey_url) as broker:
        wait_until(lambda: broker.llen("replicalab:worker") == 0)
    assert lab.attempts(only_task_id(lab)) == ["succeeded"]


def test_doorbells_that_mean_nothing_are_dropped_and_the_worker_lives(
    lab: Lab, start: Start, valkey_url: str
) -> None:
    cancelled = submit(lab, handlers.RUN_UNTIL_STOPPED)
    lab.experiments.cancel(cancelled.id)
    experiment = submit(lab, handlers.SUCCEED)
    with lab.database.transaction() as session:
        first, last = session.scalars(
            sa.select(TaskRow.id).where(TaskRow.kind == "prepare-dataset").order_by(TaskRow.id)
        )
    app = celery_app(valkey_url)
    for arguments in ([], [first], [10**12], [-1], ["1"], [None], [1.5], [[first]], [first, last]):
        app.send_task(DOORBELL, args=arguments, queue="worker")
    app.send_task("replicalab.unknown", args=[last], queue="worker")
    app.send_task(DOORBELL, args=[last], queue="worker")
    worker = start(WORKER)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))
    assert worker.exit_code is None
    assert first_task(lab, cancelled).state is TaskState.CANCELLED
    assert lab.attempts(first) == []


def test_work_that_the_kernel_kills_is_put_away_and_says_why(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    for _ in range(MAX_LOST):
        thread = start_next(lab, supervisor)
        wait_until(lambda: first_task(lab, experiment).state is TaskState.RUNNING)
        wait_until(lambda: first_task(lab, experiment).progress > 0)
        assert supervisor.child_pid is not None
        os.kill(supervisor.child_pid, signal.SIGKILL)  # as the kernel does when memory runs out
        thread.join(PATIENCE_SECONDS)
    task = first_task(lab, experiment)
    assert (task.state, task.error_class) == (TaskState.QUARANTINED, "lost")
    assert "exit code -9" in (task.error or "")
    assert "memory" in (task.error or "")
    assert lab.experiments.get(experiment.id).state is ExperimentState.NEEDS_ATTENTION


def test_a_full_disk_is_no_fault_of_the_work_and_leaves_no_artifact(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment = submit(lab, handlers.FILL_THE_DISK)
    run_next(lab, supervisor)
    task = first_task(lab, experiment)
    assert (task.state, task.error_class) == (TaskState.RETRY_WAIT, "resource")
    assert "No space left on device" in (task.error or "")
    assert lab.experiments.artifacts(experiment.id) == []


def test_garbage_that_a_task_says_is_cut_and_cleaned(
    lab: Lab, supervisor: Supervisor, pass_time: PassTime
) -> None:
    experiment = submit(lab, handlers.FAIL_WITH_GARBAGE)
    run_next(lab, supervisor)
    task = first_task(lab, experiment)
    assert (task.state, task.error_class) == (TaskState.RETRY_WAIT, "bug")
    assert 0 < len(task.error or "") <= 8000
    for event in lab.events(experiment.id, after=0, limit=100):
        assert len(str(event.data)) < 10_000
    healthy = submit(lab, handlers.SUCCEED)
    run_next(lab, supervisor)
    assert first_task(lab, healthy).state is TaskState.SUCCEEDED


def test_a_cancellation_is_heard_whatever_the_worker_is_doing(
    lab: Lab, pass_time: PassTime
) -> None:
    experiment, _ = lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    task = lab.must_claim()
    lab.artifacts.write(b"uploading", "application/json")
    lab.experiments.cancel(experiment.id)
    assert lab.tasks.beat(task.id, task.epoch, 0.5, "uploading") is BeatAnswer.CANCEL
    pass_time(LEASE_SECONDS + 1)  # the worker never answers
    assert lab.reconciler.reap_expired_leases() == 1
    assert set(lab.states().values()) == {TaskState.CANCELLED}
    assert not lab.complete(task)


def at_once(barrier: threading.Barrier, act: Callable[[], object]) -> object:
    barrier.wait()
    return act()


def test_of_a_commit_and_a_cancellation_at_once_one_wins(lab: Lab) -> None:
    for seed in range(8):
        spec = STUDY.model_copy(update={"noise_seed": seed})
        experiment, _ = lab.experiments.submit(spec, owner="ann", idempotency_key=None)
        task = lab.must_claim()
        both = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            committed = pool.submit(at_once, both, partial(lab.complete, task))
            cancelled = pool.submit(at_once, both, partial(lab.experiments.cancel, experiment.id))
            assert committed.result() is True
            cancelled.result()
        assert lab.experiments.get(experiment.id).state is ExperimentState.CANCELLED
        assert lab.states()[task.id] is TaskState.SUCCEEDED
        states = {t.state for t in lab.experiments.tasks(experiment.id)}
        assert states == {TaskState.SUCCEEDED, TaskState.CANCELLED}
        with lab.database.transaction() as session:
            assert session.scalars(sa.select(TaskLeaseRow.task_id)).all() == []
        assert lab.claim_next() is None
