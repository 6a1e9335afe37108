"""Invariants over database, store, service and history. Every sentence returned is a violation."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.client.lab import Lab
from replicalab.db.models import (
    ArtifactRow,
    AttemptRow,
    EventRow,
    ExperimentRow,
    ExperimentTaskRow,
    TaskEdgeRow,
    TaskLeaseRow,
    TaskRow,
)
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import TaskInput
from replicalab.engine.claimed import params_of
from replicalab.errors import ReplicaLabError
from replicalab.storage.artifacts import ArtifactStore
from tests.chaos.handlers import output_of, roles_of
from tests.chaos.history import History


def violations(session: Session, store: ArtifactStore, lab: Lab, history: History) -> list[str]:
    """Everything that is not as it must be once all work has ended."""
    return [
        *(f"a researcher saw an error: {error}" for error in history.errors),
        *acknowledged_work_ends(session, history),
        *terminal_states_stay(history),
        *one_key_is_one_experiment(lab, history),
        *everyone_sees_the_same(session, lab, history),
        *one_success_a_task(session),
        *inputs_come_first(session),
        *nothing_is_left_running(session),
        *events_count_as_rows_do(session),
        *outputs_are_whole_and_right(session, store),
    ]


def acknowledged_work_ends(session: Session, history: History) -> Iterator[str]:
    """I1: every acknowledged submission exists and has ended, cancelled only if asked."""
    states = dict(session.execute(sa.select(ExperimentRow.id, ExperimentRow.state)).all())
    for key, ids in history.acknowledged.items():
        for experiment_id in ids:
            state = states.get(experiment_id)
            expected = (
                ExperimentState.CANCELLED
                if experiment_id in history.cancelled
                else ExperimentState.SUCCEEDED
            )
            if state is not expected:
                yield f"experiment {experiment_id} ({key}) is {state}, not {expected}"


def terminal_states_stay(history: History) -> Iterator[str]:
    """I5: no state leaves a terminal one."""
    for experiment_id, seen in history.seen.items():
        for before, after in pairwise(seen):
            if before.is_terminal and after is not before:
                yield f"experiment {experiment_id} was {before} and later {after}"


def one_key_is_one_experiment(lab: Lab, history: History) -> Iterator[str]:
    """I6: an idempotency key answers the same experiment, also long after."""
    for key, ids in history.acknowledged.items():
        again = lab.submit(history.specs[key], idempotency_key=key).id
        if ids != {again}:
            yield f"key {key} answered {sorted(map(str, ids | {again}))}"


def everyone_sees_the_same(session: Session, lab: Lab, history: History) -> Iterator[str]:
    """I9: the service shows what the database holds."""
    for experiment_id in known_experiments(history):
        stored = session.scalar(
            sa.select(ExperimentRow.state).where(ExperimentRow.id == experiment_id)
        )
        shown = lab.get(experiment_id)
        if shown.state is not stored:
            yield f"experiment {experiment_id} is {stored} but shown as {shown.state}"


def one_success_a_task(session: Session) -> Iterator[str]:
    """I2: a succeeded task has one successful attempt, under the epoch the task ended with."""
    rows = session.execute(
        sa.select(TaskRow.id, TaskRow.epoch, sa.func.array_agg(AttemptRow.epoch))
        .outerjoin(
            AttemptRow,
            (AttemptRow.task_id == TaskRow.id) & (AttemptRow.outcome == "succeeded"),
        )
        .where(TaskRow.state == TaskState.SUCCEEDED)
        .group_by(TaskRow.id, TaskRow.epoch)
    )
    for task_id, epoch, successes in rows:
        if successes != [epoch]:
            yield f"task {task_id} ended under epoch {epoch}, successes: {successes}"


def inputs_come_first(session: Session) -> Iterator[str]:
    """I3: no attempt began before all its parents had succeeded."""
    parents = TaskRow.__table__.alias("parents")
    early = session.execute(
        sa.select(AttemptRow.task_id, TaskEdgeRow.parent_id)
        .join(TaskEdgeRow, TaskEdgeRow.child_id == AttemptRow.task_id)
        .join(parents, parents.c.id == TaskEdgeRow.parent_id)
        .where(
            (parents.c.state != TaskState.SUCCEEDED) | (AttemptRow.started_at < parents.c.ended_at)
        )
    )
    for task_id, parent_id in early:
        yield f"task {task_id} was claimed before its input {parent_id} was there"


def nothing_is_left_running(session: Session) -> Iterator[str]:
    """I7: no task runs, waits or holds a lease when all work has ended."""
    open_tasks = session.execute(
        sa.select(TaskRow.id, TaskRow.state)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
        .where(TaskRow.ended_at.is_(None))
    )
    for task_id, state in open_tasks:
        yield f"task {task_id} is still {state}"
    for task_id in session.scalars(sa.select(TaskLeaseRow.task_id)):
        yield f"task {task_id} still has a lease"


def events_count_as_rows_do(session: Session) -> Iterator[str]:
    """I8: one event tells of each success."""
    told = dict(
        session.execute(
            sa.select(EventRow.task_id, sa.func.count())
            .where(
                EventRow.kind == "task-state",
                EventRow.data["state"].astext == TaskState.SUCCEEDED.value,
            )
            .group_by(EventRow.task_id)
        ).all()
    )
    succeeded = set(
        session.scalars(sa.select(TaskRow.id).where(TaskRow.state == TaskState.SUCCEEDED))
    )
    for task_id in succeeded | told.keys():
        if told.get(task_id, 0) != (task_id in succeeded):
            yield f"task {task_id}: {told.get(task_id, 0)} events tell of its success"


def outputs_are_whole_and_right(session: Session, store: ArtifactStore) -> Iterator[str]:
    """I4: every committed artifact is readable, and is what parameters and inputs determine."""
    artifacts = session.execute(
        sa.select(TaskRow, ArtifactRow)
        .join(ArtifactRow, ArtifactRow.task_id == TaskRow.id)
        .where(TaskRow.state == TaskState.SUCCEEDED)
    )
    for task, row in artifacts:
        ref = ArtifactRef(sha256=row.sha256, size_bytes=row.size_bytes, media_type=row.media_type)
        try:
            body = store.read(ref)
        except ReplicaLabError as error:
            yield f"artifact {row.name} of task {task.id}: {error.detail}"
            continue
        params = params_of(task.params)
        wanted = [TaskInput.model_validate(task_input) for task_input in task.inputs]
        inputs = [
            digest
            for role in roles_of(params)
            for task_input in wanted
            if task_input.role == role
            for digest in _digests(session, task.id, task_input)
        ]
        if body != output_of(params, inputs, row.name):
            yield f"artifact {row.name} of task {task.id} is not what its inputs determine"


def _digests(session: Session, task_id: int, task_input: TaskInput) -> Sequence[str]:
    return session.scalars(
        sa.select(ArtifactRow.sha256)
        .join(TaskRow, TaskRow.id == ArtifactRow.task_id)
        .join(TaskEdgeRow, TaskEdgeRow.parent_id == TaskRow.id)
        .where(
            TaskEdgeRow.child_id == task_id,
            TaskRow.key == task_input.key,
            ArtifactRow.name == task_input.artifact,
        )
    ).all()


def known_experiments(history: History) -> list[UUID]:
    """Every experiment that was acknowledged."""
    return [experiment_id for ids in history.acknowledged.values() for experiment_id in ids]
