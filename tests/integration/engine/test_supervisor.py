"""The supervisor with a real child process and a real PostgreSQL."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine.service import Shift
from replicalab.engine.supervisor import ChildProcess, Supervisor
from replicalab.settings import EngineSettings, LocalStoreSettings
from tests.fixtures import handlers
from tests.integration.engine.conftest import LEASE_SECONDS, Lab
from tests.integration.engine.running import (
    PATIENCE_SECONDS,
    first_task,
    run_next,
    start_next,
    submit,
    wait_until,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def child_pid(supervisor: Supervisor) -> int:
    pid = supervisor.child_pid
    assert pid is not None
    return pid


def test_a_task_that_succeeds_leaves_artifacts_and_measurements(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment = submit(lab, handlers.SUCCEED)
    run_next(lab, supervisor)
    assert first_task(lab, experiment).state is TaskState.SUCCEEDED
    stored = {a.name: lab.artifacts.read(a.ref) for a in lab.experiments.artifacts(experiment.id)}
    assert stored == {"train.npz": b"train", "test.npz": b"test"}
    assert [r.measurement.name for r in lab.experiments.results(experiment.id).items] == ["size"]


def test_a_doorbell_for_a_task_that_was_done_already_does_nothing(
    lab: Lab, supervisor: Supervisor
) -> None:
    submit(lab, handlers.SUCCEED)
    task_id = lab.tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    assert [supervisor.run(task_id) for _ in range(3)] == [True, False, False]
    assert not supervisor.run(10**9)


def test_bad_input_fails_with_its_own_words(lab: Lab, supervisor: Supervisor) -> None:
    experiment = submit(lab, handlers.REFUSE)
    run_next(lab, supervisor)
    task = first_task(lab, experiment)
    assert (task.state, task.error_class) == (TaskState.FAILED, "input")
    assert task.error == "The image set is not valid: labels must lie in 0..9"
    assert lab.experiments.get(experiment.id).state is ExperimentState.FAILED


def test_a_defect_shows_its_traceback_and_the_child_lives_on(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment, pid = submit(lab, handlers.DIVIDE_BY_ZERO), child_pid(supervisor)
    run_next(lab, supervisor)
    task = first_task(lab, experiment)
    assert (task.state, task.error_class) == (TaskState.RETRY_WAIT, "bug")
    assert "ZeroDivisionError" in (task.error or "")
    assert child_pid(supervisor) == pid


def test_a_child_that_dies_costs_one_attempt_and_is_replaced(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment, pid = submit(lab, handlers.ABORT), child_pid(supervisor)
    run_next(lab, supervisor)
    task = first_task(lab, experiment)
    assert (task.state, task.error_class) == (TaskState.QUEUED, "lost")
    assert "exit code -6" in (task.error or "")
    assert child_pid(supervisor) != pid
    run_next(lab, supervisor)
    run_next(lab, supervisor)
    assert first_task(lab, experiment).state is TaskState.QUARANTINED
    healthy = submit(lab, handlers.SUCCEED)
    run_next(lab, supervisor)
    assert first_task(lab, healthy).state is TaskState.SUCCEEDED


def test_a_child_killed_in_the_middle_is_noticed_at_once(lab: Lab, supervisor: Supervisor) -> None:
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    thread = start_next(lab, supervisor)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    os.kill(child_pid(supervisor), signal.SIGKILL)
    thread.join(PATIENCE_SECONDS)
    assert first_task(lab, experiment).state is TaskState.QUEUED


def test_a_cancelled_task_stops_at_its_next_report(lab: Lab, supervisor: Supervisor) -> None:
    experiment, pid = submit(lab, handlers.RUN_UNTIL_STOPPED), child_pid(supervisor)
    thread = start_next(lab, supervisor)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    assert first_task(lab, experiment).stage.startswith("step")
    lab.experiments.cancel(experiment.id)
    thread.join(PATIENCE_SECONDS)
    assert first_task(lab, experiment).state is TaskState.CANCELLED
    assert child_pid(supervisor) == pid


def test_a_cancelled_task_that_ignores_it_is_killed(lab: Lab, supervisor: Supervisor) -> None:
    experiment, pid = submit(lab, handlers.IGNORE_STOPS), child_pid(supervisor)
    thread = start_next(lab, supervisor)
    wait_until(lambda: first_task(lab, experiment).state is TaskState.RUNNING)
    lab.experiments.cancel(experiment.id)
    thread.join(PATIENCE_SECONDS)
    assert first_task(lab, experiment).state is TaskState.CANCELLED
    assert child_pid(supervisor) != pid


def test_a_task_that_beats_but_stands_still_is_ended_and_says_where_it_stood(
    lab: Lab, tmp_path: Path
) -> None:
    store = LocalStoreSettings(folder=tmp_path / "artifacts")
    supervisor = Supervisor(
        lab.tasks,
        lambda: ChildProcess(handlers.handlers, store, "INFO"),
        EngineSettings(lease_seconds=LEASE_SECONDS, beat_seconds=0.1, stall_seconds=3.0),
        "w1",
    )
    experiment = submit(lab, handlers.IGNORE_STOPS)
    run_next(lab, supervisor)
    supervisor.close()
    task = first_task(lab, experiment)
    assert task.state is TaskState.RETRY_WAIT
    assert task.error_class == "stalled"
    assert task.error is not None
    assert "handlers.py" in task.error
    assert " in prepare" in task.error


def test_a_worker_that_stops_gives_its_task_back(lab: Lab, supervisor: Supervisor) -> None:
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    thread = start_next(lab, supervisor)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    supervisor.stop()
    thread.join(PATIENCE_SECONDS)
    task = first_task(lab, experiment)
    assert (task.state, task.error_class) == (TaskState.QUEUED, None)


def test_a_fenced_worker_kills_its_run_and_writes_nothing(
    lab: Lab, supervisor: Supervisor, pass_time: Callable[[float], None]
) -> None:
    experiment, pid = submit(lab, handlers.RUN_UNTIL_STOPPED), child_pid(supervisor)
    thread = start_next(lab, supervisor)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    pass_time(LEASE_SECONDS * 3)
    wait_until(lambda: lab.reconciler.reap_expired_leases() == 1 or not thread.is_alive())
    thread.join(PATIENCE_SECONDS)
    assert first_task(lab, experiment).state is TaskState.QUEUED
    assert not lab.experiments.artifacts(experiment.id)
    assert child_pid(supervisor) != pid


def test_one_doorbell_begins_a_shift_that_ends_when_nothing_waits(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiments = [submit(lab, handlers.SUCCEED), submit(lab, handlers.REFUSE)]
    first = lab.tasks.next_queued(Queue.WORKER)
    assert first is not None
    Shift(lab.tasks, supervisor, Queue.WORKER).begin(first)
    states = [first_task(lab, experiment).state for experiment in experiments]
    assert states == [TaskState.SUCCEEDED, TaskState.FAILED]
    assert lab.tasks.next_queued(Queue.WORKER) is None


def test_a_shift_begins_though_another_worker_was_faster(lab: Lab, supervisor: Supervisor) -> None:
    submit(lab, handlers.SUCCEED)
    taken = lab.must_claim("w2")
    waiting = submit(lab, handlers.REFUSE)
    Shift(lab.tasks, supervisor, Queue.WORKER).begin(taken.id)
    assert first_task(lab, waiting).state is TaskState.FAILED
    assert lab.states()[taken.id] is TaskState.RUNNING


def test_who_looks_during_a_shift_leaves_the_work_to_it(lab: Lab, supervisor: Supervisor) -> None:
    running, waiting = submit(lab, handlers.RUN_UNTIL_STOPPED), submit(lab, handlers.SUCCEED)
    shift = Shift(lab.tasks, supervisor, Queue.WORKER)
    thread = threading.Thread(target=shift.look)
    thread.start()
    wait_until(lambda: first_task(lab, running).state is TaskState.RUNNING)
    shift.look()
    assert first_task(lab, waiting).state is TaskState.QUEUED, "one task at a time"
    lab.experiments.cancel(running.id)
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert first_task(lab, waiting).state is TaskState.SUCCEEDED


def test_a_worker_that_is_told_to_stop_begins_nothing_more(
    lab: Lab, supervisor: Supervisor
) -> None:
    experiment = submit(lab, handlers.SUCCEED)
    supervisor.stop()
    Shift(lab.tasks, supervisor, Queue.WORKER).begin(1)
    assert first_task(lab, experiment).state is TaskState.QUEUED
