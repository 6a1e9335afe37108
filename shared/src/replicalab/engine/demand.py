"""Tasks follow the experiments that need them: their class, and whether they are held."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, ExperimentRow, ExperimentTaskRow, TaskRow
from replicalab.db.tables import EXPERIMENT_TASKS, EXPERIMENTS, TASKS, among
from replicalab.domain.priorities import Priority
from replicalab.engine.journal import Journal

_DEMAND = (
    sa.select(
        EXPERIMENT_TASKS.c.task_id,
        sa.func.min(EXPERIMENTS.c.priority).label("priority"),
        sa.func.bool_and(EXPERIMENTS.c.held_at.is_not(None)).label("held"),
    )
    .join(EXPERIMENTS, EXPERIMENTS.c.id == EXPERIMENT_TASKS.c.experiment_id)
    .where(
        among(EXPERIMENT_TASKS.c.task_id, "tasks"),
        EXPERIMENTS.c.ended_at.is_(None),
    )
    .group_by(EXPERIMENT_TASKS.c.task_id)
    .subquery()
)
_IS_NEWS = sa.or_(TASKS.c.priority != _DEMAND.c.priority, TASKS.c.held != _DEMAND.c.held)
_FOLLOW_DEMAND = (
    sa.update(TASKS)
    .where(TASKS.c.id == _DEMAND.c.task_id, TASKS.c.ended_at.is_(None), _IS_NEWS)
    .values(priority=_DEMAND.c.priority, held=_DEMAND.c.held)
)


def set_priority(
    session: Session, journal: Journal, experiment_id: UUID, *, priority: Priority
) -> None:
    """Give an experiment another class; the caller has locked its tasks."""
    session.execute(
        sa.update(ExperimentRow)
        .where(ExperimentRow.id == experiment_id)
        .values(priority=priority.rank)
    )
    journal.change(experiment_id, priority=priority.value)


def set_hold(session: Session, journal: Journal, experiment_id: UUID, *, is_held: bool) -> None:
    """Hold or release an experiment; the caller has locked its tasks."""
    session.execute(
        sa.update(ExperimentRow)
        .where(ExperimentRow.id == experiment_id)
        .values(held_at=NOW if is_held else None)
    )
    journal.change(experiment_id, is_held=is_held)


def lock_open_tasks(session: Session, experiment_id: UUID) -> Sequence[int]:
    """Ids of the experiment's unfinished tasks, locked in the order that everyone uses."""
    return session.scalars(
        sa.select(TaskRow.id)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
        .where(ExperimentTaskRow.experiment_id == experiment_id, TaskRow.ended_at.is_(None))
        .order_by(TaskRow.id)
        .with_for_update(of=TaskRow)
    ).all()


def unshared_tasks(session: Session, experiment_id: UUID, task_ids: Sequence[int]) -> Sequence[int]:
    """Those of ``task_ids``, which the caller has locked, that no other living experiment needs.

    A statement of its own after the lock: one that waited for a row still sees what others had
    written before it began, and would miss the submission it waited for.
    """
    needed = (
        sa.select(ExperimentTaskRow.task_id)
        .join(ExperimentRow, ExperimentRow.id == ExperimentTaskRow.experiment_id)
        .where(
            ExperimentTaskRow.task_id.in_(task_ids),
            ExperimentRow.id != experiment_id,
            ExperimentRow.ended_at.is_(None),
        )
    )
    shared = set(session.scalars(needed))
    return [task_id for task_id in task_ids if task_id not in shared]


def follow_demand(session: Session, task_ids: Sequence[int]) -> None:
    """Give tasks the most urgent class of the living experiments that need them.

    A task is held only while every one of them is held. Tasks that nobody living needs keep what
    they have: they are about to be cancelled, or run already.
    """
    if not task_ids:
        return
    session.execute(_FOLLOW_DEMAND, {"tasks": task_ids})
