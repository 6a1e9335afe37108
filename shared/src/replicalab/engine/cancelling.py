"""Cancelling: the experiment ends at once, and so do the tasks that nobody else needs (T9)."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, ExperimentRow, TaskRow
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.engine.journal import Journal


def cancel(session: Session, experiment_id: UUID, task_ids: Sequence[int]) -> None:
    """End an experiment and its ``task_ids``; all of them are locked by the caller.

    Running tasks are only asked to stop: their workers end them.
    """
    journal = Journal()
    session.execute(
        sa.update(ExperimentRow)
        .where(ExperimentRow.id == experiment_id)
        .values(state=ExperimentState.CANCELLED, cancelled_at=NOW, ended_at=NOW)
    )
    session.execute(
        sa.update(TaskRow)
        .where(TaskRow.id.in_(task_ids), TaskRow.state == TaskState.RUNNING)
        .values(cancel_requested=True)
    )
    ended = session.scalars(
        sa.update(TaskRow)
        .where(TaskRow.id.in_(task_ids), TaskRow.state != TaskState.RUNNING)
        .values(state=TaskState.CANCELLED, ended_at=NOW)
        .returning(TaskRow.id)
    ).all()
    for task_id in ended:
        journal.task(task_id, TaskState.CANCELLED)
    journal.experiment(experiment_id, ExperimentState.CANCELLED)
    journal.write(session)
