"""Claims, leases, fences and retries on a real PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from replicalab.domain.resources import ExperimentRead
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import Queue, TaskKind
from replicalab.engine.failures import POLICIES, FailureClass
from replicalab.engine.task_store import BeatAnswer
from tests.integration.engine.conftest import LEASE_SECONDS, MAX_LOST, STUDY, Lab

pytestmark = pytest.mark.integration
PassTime = Callable[[float], None]


@pytest.fixture
def study(lab: Lab) -> ExperimentRead:
    return lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)[0]


def state_of(lab: Lab, study: ExperimentRead) -> ExperimentState:
    return lab.experiments.get(study.id).state


@pytest.mark.usefixtures("study")
def test_only_one_of_many_workers_can_claim_a_task(lab: Lab) -> None:
    task_id = lab.tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: lab.tasks.claim(task_id, f"w{n}"), range(8)))
    assert sum(claim is not None for claim in claims) == 1


@pytest.mark.usefixtures("study")
def test_tasks_run_in_the_order_their_inputs_allow(lab: Lab) -> None:
    kinds = lab.run_everything()
    assert kinds[0] is TaskKind.PREPARE_DATASET
    assert kinds[-1] is TaskKind.REPORT
    assert len(kinds) == 9


def test_an_experiment_runs_from_the_first_claim_and_ends_with_the_last_task(
    lab: Lab, study: ExperimentRead
) -> None:
    assert study.state is ExperimentState.QUEUED
    first = lab.must_claim()
    assert state_of(lab, study) is ExperimentState.RUNNING
    lab.complete(first)
    lab.run_everything()
    ended = lab.experiments.get(study.id)
    assert ended.state is ExperimentState.SUCCEEDED
    assert ended.ended_at is not None
    assert ended.progress.fraction == 1.0


@pytest.mark.usefixtures("study")
def test_a_claimed_task_knows_the_artifacts_it_reads(lab: Lab) -> None:
    dataset = lab.must_claim()
    lab.complete(dataset)
    reader = lab.must_claim()
    assert {task_input.key for task_input, _ in reader.inputs} == {dataset.key}
    assert all(ref is not None for _, ref in reader.inputs)


@pytest.mark.usefixtures("study")
def test_parents_that_end_at_the_same_time_release_their_child_once(lab: Lab) -> None:
    lab.complete(lab.must_claim())
    shards = [lab.must_claim(f"w{n}") for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lab.complete, shards))
    assert lab.reconciler.reconcile()["stuck-blocked"] == 0
    assert lab.run_everything()[-1] is TaskKind.REPORT


@pytest.mark.usefixtures("study")
def test_a_beat_keeps_a_task_past_its_first_lease(lab: Lab, pass_time: PassTime) -> None:
    task = lab.must_claim()
    for _ in range(3):
        pass_time(LEASE_SECONDS * 0.7)
        assert lab.tasks.beat(task.id, task.epoch, 0.5, "half way") is BeatAnswer.GO_ON
    assert lab.reconciler.reap_expired_leases() == 0
    assert lab.complete(task)


@pytest.mark.usefixtures("study")
def test_a_silent_worker_loses_its_task_and_cannot_complete_it(
    lab: Lab, pass_time: PassTime
) -> None:
    stale = lab.must_claim("silent")
    pass_time(LEASE_SECONDS + 1)
    assert lab.reconciler.reap_expired_leases() == 1
    assert lab.tasks.beat(stale.id, stale.epoch, 0.5, "") is BeatAnswer.FENCED
    assert not lab.complete(stale)
    fresh = lab.must_claim("fresh")
    assert fresh.id == stale.id
    assert fresh.epoch > stale.epoch
    assert not lab.complete(stale)
    assert not lab.tasks.fail(stale.id, stale.epoch, FailureClass.BUG, "late")
    assert not lab.tasks.stop(stale.id, stale.epoch)
    assert lab.tasks.beat(fresh.id, fresh.epoch, 0.5, "") is BeatAnswer.GO_ON
    assert lab.complete(fresh)
    assert lab.attempts(fresh.id) == ["lost", "succeeded"]


def test_a_task_that_kills_its_workers_is_quarantined(
    lab: Lab, study: ExperimentRead, pass_time: PassTime
) -> None:
    for n in range(MAX_LOST):
        task = lab.must_claim(f"w{n}")
        assert lab.tasks.lose(task.id, task.epoch, "exit code -9")
    assert lab.claim_next() is None
    assert lab.states()[task.id] is TaskState.QUARANTINED
    assert state_of(lab, study) is ExperimentState.NEEDS_ATTENTION
    pass_time(3600)
    lab.reconciler.reconcile()
    assert lab.claim_next() is None


@pytest.mark.usefixtures("study")
def test_a_failed_dependency_waits_and_is_tried_again(lab: Lab, pass_time: PassTime) -> None:
    task = lab.must_claim()
    assert lab.tasks.fail(task.id, task.epoch, FailureClass.DEPENDENCY, "store down")
    assert lab.claim_next() is None
    assert lab.reconciler.queue_due_retries() == 0
    pass_time(POLICIES[FailureClass.DEPENDENCY].delay_seconds + 1)
    assert lab.reconciler.queue_due_retries() == 1
    assert lab.must_claim().id == task.id


def test_bad_input_fails_at_once_and_takes_its_descendants_along(
    lab: Lab, study: ExperimentRead
) -> None:
    task = lab.must_claim()
    assert lab.tasks.fail(task.id, task.epoch, FailureClass.INPUT, "labels out of range")
    states = lab.states()
    assert states.pop(task.id) is TaskState.FAILED
    assert set(states.values()) == {TaskState.UPSTREAM_FAILED}
    assert state_of(lab, study) is ExperimentState.FAILED
    (shown,) = [t for t in lab.experiments.tasks(study.id) if t.state is TaskState.FAILED]
    assert shown.error == "labels out of range"


@pytest.mark.usefixtures("study")
def test_a_defect_is_tried_once_more_then_fails(lab: Lab, pass_time: PassTime) -> None:
    for expected in (TaskState.RETRY_WAIT, TaskState.FAILED):
        task = lab.must_claim()
        lab.tasks.fail(task.id, task.epoch, FailureClass.BUG, "Traceback ...")
        assert lab.states()[task.id] is expected
        pass_time(60)
        lab.reconciler.queue_due_retries()


@pytest.mark.usefixtures("study")
def test_a_stopping_worker_gives_its_task_back(lab: Lab) -> None:
    task = lab.must_claim()
    assert lab.tasks.stop(task.id, task.epoch)
    again = lab.must_claim("another")
    assert again.id == task.id
    assert lab.complete(again)


@pytest.mark.usefixtures("study")
def test_the_database_itself_refuses_a_second_success(lab: Lab) -> None:
    task = lab.must_claim()
    lab.complete(task)
    second = sa.text(
        "INSERT INTO attempts (task_id, epoch, worker, outcome) VALUES (:id, 0, 'x', 'succeeded')"
    )
    with pytest.raises(IntegrityError), lab.database.transaction() as session:
        session.execute(second, {"id": task.id})


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tasks SET state = 'running' WHERE state = 'queued'",
        "UPDATE tasks SET state = 'succeeded' WHERE state = 'queued'",
        "UPDATE tasks SET state = 'queued' WHERE state = 'blocked'",
        "UPDATE tasks SET state = 'done'",
        "UPDATE experiments SET state = 'succeeded'",
        "INSERT INTO tasks (key, generation, kind, queue, params, inputs, work, state, unmet,"
        " attempts, lost, failures, epoch, cancel_requested, dispatches)"
        " SELECT key, 2, kind, queue, params, inputs, work, 'queued', 0, 0, 0, 0, 0, false, 0"
        " FROM tasks LIMIT 1",
    ],
)
def test_the_database_itself_refuses_states_that_make_no_sense(lab: Lab, statement: str) -> None:
    with pytest.raises(IntegrityError), lab.database.transaction() as session:
        session.execute(sa.text(statement))


def test_the_reconciler_heals_counts_and_states_that_were_damaged(
    lab: Lab, study: ExperimentRead
) -> None:
    lab.complete(lab.must_claim())
    with lab.database.transaction() as session:
        session.execute(sa.text("UPDATE tasks SET unmet = unmet + 1 WHERE state = 'blocked'"))
        session.execute(sa.text("UPDATE experiments SET state = 'queued'"))
    healed = lab.reconciler.reconcile()
    assert healed["stuck-blocked"] == 4
    assert healed["stale-experiments"] == 1
    lab.run_everything()
    assert state_of(lab, study) is ExperimentState.SUCCEEDED
    assert lab.reconciler.reconcile()["stuck-blocked"] == 0


def test_the_reconciler_ends_what_waits_for_a_task_that_will_never_succeed(
    lab: Lab, study: ExperimentRead
) -> None:
    with lab.database.transaction() as session:
        session.execute(
            sa.text(
                "UPDATE tasks SET state = 'cancelled', ended_at = rl_now()"
                " WHERE kind = 'prepare-dataset'"
            )
        )
    assert lab.reconciler.reconcile()["orphaned-blocked"] == 8
    assert state_of(lab, study) is ExperimentState.FAILED
    assert lab.reconciler.reconcile()["orphaned-blocked"] == 0
