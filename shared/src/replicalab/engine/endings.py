"""What follows when a task ends: its children, and the experiments that need it.

Row locks are taken in one order everywhere: tasks by rising id (a child's id is always above its
parents'), then experiments by id, then the journal. Two transactions can wait, never deadlock.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, ExperimentRow, ExperimentTaskRow, TaskEdgeRow, TaskRow
from replicalab.domain.states import ExperimentState, TaskState, experiment_state
from replicalab.engine.journal import Journal

DOOMED = (TaskState.FAILED, TaskState.CANCELLED, TaskState.UPSTREAM_FAILED)
"""Ends after which no child of a task can ever run."""


def release_children(session: Session, journal: Journal, parent_id: int) -> None:
    """Count one parent less for every blocked child; those without any are queued (T4)."""
    children = session.scalars(
        sa.select(TaskRow.id)
        .join(TaskEdgeRow, TaskEdgeRow.child_id == TaskRow.id)
        .where(TaskEdgeRow.parent_id == parent_id, TaskRow.state == TaskState.BLOCKED)
        .order_by(TaskRow.id)
        .with_for_update(of=TaskRow)
    ).all()
    if not children:
        return
    is_last = TaskRow.unmet == 1
    rows = session.execute(
        sa.update(TaskRow)
        .where(TaskRow.id.in_(children), TaskRow.state == TaskState.BLOCKED)
        .values(
            unmet=TaskRow.unmet - 1,
            state=sa.case((is_last, TaskState.QUEUED.value), else_=TaskState.BLOCKED.value),
            queued_at=sa.case((is_last, NOW), else_=None),
        )
        .returning(TaskRow.id, TaskRow.state)
    ).all()
    for task_id, state in rows:
        if state is TaskState.QUEUED:
            journal.task(task_id, "task-state", state=state.value)
            journal.wakes_scheduler = True


def fail_descendants(session: Session, journal: Journal, parent_id: int) -> list[int]:
    """End every blocked descendant of a task that cannot succeed any more (T8).

    Returns:
        Ids of the descendants that were ended.
    """
    ended: list[int] = []
    frontier: Sequence[int] = [parent_id]
    while frontier:
        frontier = session.scalars(
            sa.select(TaskRow.id)
            .join(TaskEdgeRow, TaskEdgeRow.child_id == TaskRow.id)
            .where(TaskEdgeRow.parent_id.in_(frontier), TaskRow.state == TaskState.BLOCKED)
            .order_by(TaskRow.id)
            .with_for_update(of=TaskRow)
        ).all()
        if frontier:
            session.execute(
                sa.update(TaskRow)
                .where(TaskRow.id.in_(frontier))
                .values(
                    state=TaskState.UPSTREAM_FAILED,
                    ended_at=NOW,
                    error="A task that this one reads from did not succeed.",
                )
            )
            for task_id in frontier:
                journal.task(task_id, "task-state", state=TaskState.UPSTREAM_FAILED.value)
            ended.extend(frontier)
    return ended


def refresh_experiments(session: Session, journal: Journal, task_ids: Iterable[int]) -> None:
    """Bring every living experiment that needs one of ``task_ids`` to f(its tasks)."""
    experiments = session.execute(
        sa.select(ExperimentRow.id, ExperimentRow.state)
        .where(
            ExperimentRow.ended_at.is_(None),
            ExperimentRow.id.in_(
                sa.select(ExperimentTaskRow.experiment_id).where(
                    ExperimentTaskRow.task_id.in_(list(task_ids))
                )
            ),
        )
        .order_by(ExperimentRow.id)
        .with_for_update()
    ).all()
    for experiment_id, old in experiments:
        refresh_experiment(session, journal, experiment_id, old)


def refresh_experiment(
    session: Session, journal: Journal, experiment_id: UUID, old: ExperimentState
) -> ExperimentState:
    """Store the state that follows from the tasks; the caller holds the experiment's row lock."""
    states = session.scalars(
        sa.select(TaskRow.state)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
        .where(ExperimentTaskRow.experiment_id == experiment_id)
        .distinct()
    ).all()
    new = experiment_state(states, old=old)
    if new is not old:
        session.execute(
            sa.update(ExperimentRow)
            .where(ExperimentRow.id == experiment_id)
            .values(state=new, ended_at=NOW if new.is_terminal else None)
        )
        journal.experiment(experiment_id, "experiment-state", state=new.value)
    return new


def is_doomed(state: TaskState) -> bool:
    """Whether children of a task in ``state`` can never run."""
    return state in DOOMED
