"""Several people on one installation: fair order, classes, holds, quotas."""

from collections import Counter

import pytest
import sqlalchemy as sa

from replicalab.db.models import TaskRow
from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.priorities import Priority
from replicalab.domain.resources import ExperimentRead
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine import usage
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.experiments import Experiments
from replicalab.engine.failures import FailureClass
from replicalab.engine.waiting import take_fairly
from replicalab.errors import IllegalTransition, QuotaExceeded
from replicalab.planning.plan import plan
from replicalab.refusals import TooManyTasks
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration


def wide(seed: int) -> ExperimentSpec:
    """Eight classifiers at once, after a data set of its own."""
    return ExperimentSpec(
        name=f"wide {seed}",
        dataset=DigitsDataset(split_seed=seed),
        t_re=(0,),
        classifier_seeds=tuple(range(8)),
    )


def submit(
    lab: Lab, spec: ExperimentSpec, owner: str, priority: Priority = Priority.NORMAL
) -> ExperimentRead:
    experiment, _ = lab.experiments.submit(
        spec, owner=owner, idempotency_key=None, priority=priority
    )
    return experiment


def take(lab: Lab, room: int) -> list[str]:
    """Owners of the tasks that would be rung for next."""
    with lab.database.transaction() as session:
        ids = take_fairly(session, Queue.WORKER, room)
        owners = dict(session.execute(sa.select(TaskRow.id, TaskRow.owner)).all())
        session.rollback()
    return [owners[i] for i in ids]


def claim(lab: Lab) -> ClaimedTask:
    return lab.must_claim()


def charge(lab: Lab, owner: str, seconds: float) -> None:
    with lab.database.transaction() as session:
        session.execute(
            sa.text(
                "INSERT INTO usage (owner, total_seconds, decayed_seconds) VALUES (:o, :s, :s)"
            ),
            {"o": owner, "s": seconds},
        )


def test_a_small_study_does_not_wait_behind_a_large_one(lab: Lab) -> None:
    submit(lab, wide(1), "ann")
    lab.complete(claim(lab))
    submit(lab, wide(2), "bob")
    assert take(lab, 2) in (["ann", "bob"], ["bob", "ann"])


def test_whoever_used_the_lab_least_goes_first(lab: Lab) -> None:
    for seed, owner in enumerate(["ann", "bob"]):
        submit(lab, wide(seed), owner)
        lab.complete(claim(lab))
    with lab.database.transaction() as session:
        session.execute(sa.text("UPDATE usage SET decayed_seconds = 1e6 WHERE owner = 'bob'"))
    assert take(lab, 3) == ["ann", "ann", "ann"]


def test_old_use_fades(lab: Lab) -> None:
    submit(lab, wide(1), "ann")
    charge(lab, "ann", 100.0)
    with lab.database.transaction() as session:
        session.execute(sa.text("UPDATE usage SET counted_at = rl_now() - interval '48 hours'"))
        (row,) = usage.usage_of_everyone(session)
    assert row.recent_seconds == pytest.approx(25.0, rel=1e-3)
    assert row.total_seconds == 100.0


def test_everything_waiting_is_found_when_there_is_room(lab: Lab) -> None:
    for seed, owner in enumerate("abc"):
        submit(lab, wide(seed), owner)
        lab.complete(claim(lab))
    assert Counter(take(lab, 1000)) == {"a": 8, "b": 8, "c": 8}


def test_an_urgent_experiment_goes_first_and_can_be_made_urgent_later(lab: Lab) -> None:
    submit(lab, wide(1), "ann", Priority.BACKGROUND)
    lab.complete(claim(lab))
    second = submit(lab, wide(2), "bob", Priority.NORMAL)
    assert take(lab, 1) == ["bob"]
    lab.experiments.reprioritise(second.id, Priority.BACKGROUND)
    submit(lab, wide(3), "cyd", Priority.INTERACTIVE)
    assert take(lab, 1) == ["cyd"]
    assert lab.experiments.get(second.id).priority is Priority.BACKGROUND


def test_a_shared_task_has_the_class_of_its_most_urgent_experiment(lab: Lab) -> None:
    submit(lab, STUDY, "ann", Priority.BACKGROUND)
    urgent = submit(lab, STUDY, "bob", Priority.INTERACTIVE)
    with lab.database.transaction() as session:
        assert set(session.scalars(sa.select(TaskRow.priority))) == {Priority.INTERACTIVE.rank}
    lab.experiments.reprioritise(urgent.id, Priority.NORMAL)
    with lab.database.transaction() as session:
        assert set(session.scalars(sa.select(TaskRow.priority))) == {Priority.NORMAL.rank}


def test_a_held_experiment_waits_until_it_is_released(lab: Lab) -> None:
    held = submit(lab, STUDY, "ann")
    task_id = lab.tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    assert lab.experiments.hold(held.id).is_held
    assert lab.tasks.next_queued(Queue.WORKER) is None
    assert lab.tasks.claim(task_id, "w1") is None, "a doorbell from before the hold"
    assert not lab.experiments.release(held.id).is_held
    lab.run_everything()
    with pytest.raises(IllegalTransition):
        lab.experiments.hold(held.id)


def test_tasks_that_are_unblocked_during_a_hold_wait_as_well(lab: Lab) -> None:
    held = submit(lab, STUDY, "ann")
    running = claim(lab)
    lab.experiments.hold(held.id)
    lab.complete(running)
    assert lab.claim_next() is None
    lab.experiments.release(held.id)
    assert lab.claim_next() is not None


def test_what_another_experiment_needs_is_not_held(lab: Lab) -> None:
    held = submit(lab, STUDY, "ann")
    lab.experiments.hold(held.id)
    submit(lab, STUDY, "bob")
    assert lab.claim_next() is not None


@pytest.mark.parametrize(
    ("failure", "is_charged"),
    [(FailureClass.INPUT, True), (FailureClass.DEPENDENCY, False), (None, True)],
)
def test_failures_of_the_installation_are_not_charged(
    lab: Lab, failure: FailureClass | None, is_charged: bool
) -> None:
    submit(lab, STUDY, "ann")
    task = claim(lab)
    if failure is None:
        lab.complete(task)
    else:
        lab.tasks.fail(task.id, task.epoch, failure, "it failed")
    with lab.database.transaction() as session:
        assert [row.owner for row in usage.usage_of_everyone(session)] == ["ann"] * is_charged


def test_a_lost_attempt_is_not_charged(lab: Lab) -> None:
    submit(lab, STUDY, "ann")
    task = claim(lab)
    lab.tasks.lose(task.id, task.epoch, "exit code -9")
    with lab.database.transaction() as session:
        assert not usage.usage_of_everyone(session)
    assert lab.states()[task.id] is TaskState.QUEUED


def test_nobody_may_have_endlessly_many_unfinished_tasks(lab: Lab) -> None:
    tasks = len(plan(wide(1)).tasks)
    experiments = Experiments(lab.database, lab.artifacts, most_open_tasks=tasks)
    experiments.submit(wide(1), owner="ann", idempotency_key=None)
    with pytest.raises(TooManyTasks, match=f"{tasks} of your tasks are unfinished") as refusal:
        experiments.submit(wide(2), owner="ann", idempotency_key=None)
    assert refusal.value.extensions == {"unfinished": tasks, "most": tasks}
    again, _ = experiments.submit(wide(1), owner="ann", idempotency_key=None)
    assert again.state is ExperimentState.QUEUED  # it shares its tasks, and adds none
    experiments.submit(wide(2), owner="bob", idempotency_key=None)
    for experiment in experiments.list(limit=10).items:
        if experiment.owner == "ann":
            experiments.cancel(experiment.id)
    experiments.submit(wide(3), owner="ann", idempotency_key=None)


def test_a_used_up_quota_refuses_new_experiments_of_that_user_only(lab: Lab) -> None:
    submit(lab, STUDY, "ann")
    lab.complete(claim(lab))
    with lab.database.transaction() as session:
        usage.set_quota(session, "ann", 0.0)
    with pytest.raises(QuotaExceeded):
        submit(lab, wide(1), "ann")
    submit(lab, wide(1), "bob")
    with lab.database.transaction() as session:
        usage.set_quota(session, "ann", None)
    submit(lab, wide(2), "ann")
