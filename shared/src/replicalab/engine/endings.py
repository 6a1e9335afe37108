"""What follows when a task ends: its children, and the experiments that need it.

Row locks are taken in one order everywhere: tasks by rising id (a child's id is always above its
parents'), then experiments by id, then the journal. Two transactions can wait, never deadlock.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, ExperimentRow, TaskRow
from replicalab.db.tables import (
    EXPERIMENT_TASKS,
    EXPERIMENTS,
    TASK_EDGES,
    TASKS,
    among,
    constant,
    found_by,
)
from replicalab.domain.states import ExperimentState, TaskState, experiment_state
from replicalab.engine.journal import Journal

DOOMED = (TaskState.FAILED, TaskState.CANCELLED, TaskState.UPSTREAM_FAILED)
"""Ends after which no child of a task can ever run."""

_BLOCKED_CHILDREN = (
    sa.select(TASKS.c.id)
    .where(
        found_by(
            TASKS.c.id,
            sa.select(TASK_EDGES.c.child_id).where(among(TASK_EDGES.c.parent_id, "parents")),
        ),
        TASKS.c.state == constant(TaskState.BLOCKED),
    )
    .order_by(TASKS.c.id)
    .with_for_update()
)
_LOCKED = _BLOCKED_CHILDREN.cte("children")
_ONE_PARENT_LESS = (
    sa.update(TASKS)
    .where(found_by(TASKS.c.id, sa.select(_LOCKED.c.id)))
    .values(
        unmet=TASKS.c.unmet - 1,
        state=sa.case((TASKS.c.unmet == 1, TaskState.QUEUED.value), else_=TaskState.BLOCKED.value),
        queued_at=sa.case((TASKS.c.unmet == 1, NOW), else_=None),
    )
    .returning(TASKS.c.id, TASKS.c.state)
)
_NEEDING = sa.select(EXPERIMENT_TASKS.c.experiment_id).where(
    among(EXPERIMENT_TASKS.c.task_id, "tasks")
)
_LIVING_EXPERIMENTS = (
    sa.select(EXPERIMENTS.c.id, EXPERIMENTS.c.state)
    .where(
        EXPERIMENTS.c.ended_at.is_(None),
        found_by(EXPERIMENTS.c.id, _NEEDING),
    )
    .order_by(EXPERIMENTS.c.id)
    .with_for_update()
)
_STATES = (
    sa.select(TASKS.c.state)
    .join(EXPERIMENT_TASKS, EXPERIMENT_TASKS.c.task_id == TASKS.c.id)
    .where(EXPERIMENT_TASKS.c.experiment_id == sa.bindparam("experiment"))
    .distinct()
)


def release_children(session: Session, journal: Journal, parent_id: int) -> None:
    """Count one parent less for every blocked child; those without any are queued (T4)."""
    rows = session.execute(_ONE_PARENT_LESS, {"parents": [parent_id]}).all()
    journal.queued(task_id for task_id, state in rows if state is TaskState.QUEUED)


def end_dependents(session: Session, journal: Journal, task_ids: Sequence[int]) -> None:
    """What follows tasks that will never succeed: descendants end, and so may experiments."""
    touched = list(task_ids)
    for task_id in task_ids:
        touched += fail_descendants(session, journal, task_id)
    refresh_experiments(session, journal, touched)


def fail_descendants(session: Session, journal: Journal, parent_id: int) -> list[int]:
    """End every blocked descendant of a task that cannot succeed any more (T8).

    Returns:
        Ids of the descendants that were ended.
    """
    ended: list[int] = []
    frontier: Sequence[int] = [parent_id]
    while frontier:
        frontier = session.scalars(_BLOCKED_CHILDREN, {"parents": frontier}).all()
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
                journal.task(task_id, TaskState.UPSTREAM_FAILED)
            ended.extend(frontier)
    return ended


def refresh_experiments(session: Session, journal: Journal, task_ids: Iterable[int]) -> None:
    """Bring every living experiment that needs one of ``task_ids`` to f(its tasks)."""
    experiments = session.execute(_LIVING_EXPERIMENTS, {"tasks": list(task_ids)}).all()
    for experiment_id, old in experiments:
        refresh_experiment(session, journal, experiment_id, old)


def refresh_experiment(
    session: Session, journal: Journal, experiment_id: UUID, old: ExperimentState
) -> ExperimentState:
    """Store the state that follows from the tasks; the caller holds the experiment's row lock."""
    states = session.scalars(_STATES, {"experiment": experiment_id}).all()
    new = experiment_state(states, old=old)
    if new is not old:
        session.execute(
            sa.update(ExperimentRow)
            .where(ExperimentRow.id == experiment_id)
            .values(state=new, ended_at=NOW if new.is_terminal else None)
        )
        journal.experiment(experiment_id, new)
    return new


def is_doomed(state: TaskState) -> bool:
    """Whether children of a task in ``state`` can never run."""
    return state in DOOMED
