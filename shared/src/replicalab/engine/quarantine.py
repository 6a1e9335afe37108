"""Letting out tasks that were put away because they killed their workers (T10)."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, ExperimentTaskRow, TaskRow
from replicalab.domain.states import TaskState
from replicalab.engine import endings
from replicalab.engine.journal import Journal


def release_quarantined(session: Session, experiment_id: UUID) -> int:
    """Queue every quarantined task of the experiment with a fresh budget of losses.

    Returns:
        How many there were.
    """
    mine = sa.select(ExperimentTaskRow.task_id).where(
        ExperimentTaskRow.experiment_id == experiment_id
    )
    locked = session.scalars(
        sa.select(TaskRow.id)
        .where(TaskRow.id.in_(mine), TaskRow.state == TaskState.QUARANTINED)
        .order_by(TaskRow.id)
        .with_for_update()
    ).all()
    session.execute(
        sa.update(TaskRow)
        .where(TaskRow.id.in_(locked))
        .values(state=TaskState.QUEUED, lost=0, queued_at=NOW, dispatched_at=None, dispatches=0)
    )
    journal = Journal()
    journal.queued(locked)
    endings.refresh_experiments(session, journal, locked)
    journal.write(session)
    return len(locked)
