"""Programs of different versions beside each other: nobody makes what they would make otherwise."""

from collections.abc import Callable
from uuid import UUID

import pytest
import sqlalchemy as sa

from replicalab.db.models import AttemptRow, ExperimentRow, InstallationRow, TaskRow
from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.resources import WorkerRead
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import Queue, TaskInput, TaskKind
from replicalab.engine.failures import FailureClass
from replicalab.engine.outdated import OUTDATED_MINUTES
from replicalab.engine.task_store import TaskStore
from replicalab.engine.versions import PROTOCOL
from replicalab.engine.workers import Node, Workers
from replicalab.planning.keys import key_of
from tests.fixtures import handlers
from tests.fixtures.old_service import OLD_VERSIONS
from tests.integration.engine.conftest import LEASE_SECONDS, MAX_LOST, STUDY, Lab
from tests.integration.engine.running import (
    SCHEDULER,
    WORKER,
    Start,
    first_task,
    has_state,
    submit,
    wait_until,
)

pytestmark = pytest.mark.integration
PassTime = Callable[[float], None]
OLD_WORKER = "tests.fixtures.old_service"
OLD, NEW = "worker@old", "worker@new"


def node(name: str, kinds: dict[TaskKind, int]) -> Node:
    return Node(name, Queue.WORKER, "1", "cpu", kinds)


def store(lab: Lab, kinds: dict[TaskKind, int]) -> TaskStore:
    return TaskStore(lab.database, lease_seconds=LEASE_SECONDS, max_lost=MAX_LOST, kinds=kinds)


def standing(lab: Lab, name: str) -> WorkerRead | None:
    return next((one for one in Workers(lab.database).list() if one.node == name), None)


def change_first_task(lab: Lab, **values: object) -> None:
    first = sa.select(sa.func.min(TaskRow.id)).scalar_subquery()
    with lab.database.transaction() as session:
        session.execute(sa.update(TaskRow).where(TaskRow.id == first).values(**values))


def dispatches(lab: Lab) -> int:
    with lab.database.transaction() as session:
        return session.scalar(sa.select(sa.func.max(TaskRow.dispatches))) or 0


def state_of(lab: Lab, experiment_id: UUID) -> ExperimentState:
    with lab.database.transaction() as session:
        return session.get_one(ExperimentRow, experiment_id).state


@pytest.mark.slow
def test_an_old_worker_leaves_to_others_what_it_would_make_otherwise(
    lab: Lab, start: Start
) -> None:
    start(SCHEDULER)
    start(OLD_WORKER, REPLICALAB_NODE="old", REPLICALAB_ENGINE__POLL_SECONDS="0.2")
    wait_until(lambda: standing(lab, OLD) is not None)
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(lambda: dispatches(lab) >= 2)  # rung for, and again, beside many looks of its own
    waiting = first_task(lab, experiment)
    assert (waiting.state, waiting.attempts) == (TaskState.QUEUED, 0)
    old = standing(lab, OLD)
    assert old is not None
    assert TaskKind.PREPARE_DATASET in old.unlike_kinds
    seen_at = old.last_seen_at

    # The old one answers doorbells as well, so that the new one had better look for itself.
    start(WORKER, REPLICALAB_NODE="new", REPLICALAB_ENGINE__POLL_SECONDS="0.5")
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))
    with lab.database.transaction() as session:
        workers = session.scalars(sa.select(AttemptRow.worker)).all()
    assert all(worker.startswith(f"{NEW}:") for worker in workers)
    artifact = lab.experiments.artifact(experiment.id, waiting.key, "train.npz")
    assert lab.artifacts.read(artifact) == b"train"
    new, old = standing(lab, NEW), standing(lab, OLD)
    assert new is not None
    assert old is not None
    assert new.unlike_kinds == ()
    assert old.last_seen_at > seen_at  # what it left did not end it


def test_what_a_worker_cannot_read_it_leaves_and_goes_on_with_the_rest(lab: Lab) -> None:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    other = STUDY.model_copy(update={"noise_seed": 1, "name": "other"})
    lab.experiments.submit(other, owner="ann", idempotency_key=None)
    (first,) = [task_id for task_id, state in lab.states().items() if state is TaskState.QUEUED]
    change_first_task(lab, params=TaskRow.params.op("||")(sa.text("""'{"future": 1}'::jsonb""")))
    assert lab.tasks.next_queued(Queue.WORKER) == first
    assert lab.tasks.claim(first, "w1") is None
    assert lab.states()[first] is TaskState.QUEUED
    assert lab.attempts(first) == []
    assert lab.tasks.next_queued(Queue.WORKER) != first

    change_first_task(lab, params=TaskRow.params.op("-")(sa.text("'future'")))
    assert store(lab, dict(KIND_VERSIONS)).claim(first, "w2") is not None


def test_a_task_of_an_older_gateway_waits_until_its_version_is_known(lab: Lab) -> None:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    with lab.database.transaction() as session:
        task = session.scalars(sa.select(TaskRow).order_by(TaskRow.id)).first()
        assert task is not None
        kind, params = TaskKind.RECONSTRUCT, {"of": "an older gateway"}
        old_key = key_of(kind, 1, params, [TaskInput(role="train", key="0" * 64, artifact="a")])
    inputs = [{"role": "train", "key": "0" * 64, "artifact": "a"}]
    change_first_task(lab, kind=kind, key=old_key, params=params, inputs=inputs, kind_version=None)
    assert lab.claim_next() is None
    assert lab.reconciler.reconcile()["unversioned"] == 1
    assert lab.reconciler.reconcile()["unversioned"] == 0
    with lab.database.transaction() as session:
        assert session.get_one(TaskRow, task.id).kind_version == 1
    assert lab.claim_next() is None
    assert store(lab, {kind: 2}).claim(task.id, "w1") is None


def test_a_task_that_no_worker_makes_any_more_ends_and_is_planned_anew(
    lab: Lab, pass_time: PassTime
) -> None:
    workers = Workers(lab.database)
    experiment, _ = lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    change_first_task(lab, kind_version=KIND_VERSIONS[TaskKind.PREPARE_DATASET] - 1, key="0" * 64)
    pass_time(OUTDATED_MINUTES * 60 + 1)
    assert lab.reconciler.reconcile()["outdated"] == 0  # nobody is here who would know
    workers.see(node(NEW, dict(KIND_VERSIONS)))
    workers.see(node(OLD, OLD_VERSIONS))
    assert lab.reconciler.reconcile()["outdated"] == 0  # the old one makes it yet
    with lab.database.transaction() as session:
        workers.drain(session, OLD, "for its update")
    workers.see(node(OLD, dict(KIND_VERSIONS)))
    assert lab.reconciler.reconcile()["outdated"] == 1
    first = lab.experiments.tasks(experiment.id)[0]
    assert (first.state, first.error_class) == (TaskState.FAILED, FailureClass.OUTDATED)
    assert "version 0 of prepare-dataset" in (first.error or "")
    assert state_of(lab, experiment.id) is ExperimentState.FAILED

    again, _ = lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    assert TaskKind.REPORT in lab.run_everything()
    assert state_of(lab, again.id) is ExperimentState.SUCCEEDED


def test_a_failure_goes_elsewhere_only_where_somebody_makes_it(lab: Lab) -> None:
    workers = Workers(lab.database)
    workers.see(node("worker@one", dict(KIND_VERSIONS)))
    workers.see(node(OLD, OLD_VERSIONS))
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    task = lab.must_claim("worker@one:1")
    assert lab.tasks.fail(task.id, task.epoch, FailureClass.RESOURCE, "no space is left")
    change_first_task(lab, not_before=sa.func.rl_now())
    lab.reconciler.reconcile()
    assert lab.tasks.claim(task.id, "worker@one:1") is not None


def test_workers_that_follow_older_rules_take_nothing(lab: Lab) -> None:
    workers = Workers(lab.database)
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    assert workers.see(node(NEW, dict(KIND_VERSIONS)))
    with lab.database.transaction() as session:
        session.execute(sa.update(InstallationRow).values(least_protocol=PROTOCOL + 1))
    assert not workers.see(node(NEW, dict(KIND_VERSIONS)))
    (waiting,) = [task for task, state in lab.states().items() if state is TaskState.QUEUED]
    assert lab.tasks.claim(waiting, f"{NEW}:1") is None
    assert lab.claim_next() is None
