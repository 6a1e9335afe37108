"""Leaving ``running``: the compare-and-set every ending goes through, and what it brings along."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from replicalab.db.models import NOW, TaskRow
from replicalab.db.tables import ATTEMPTS, TASK_LEASES, TASKS, constant
from replicalab.domain.states import TaskState
from replicalab.engine import endings
from replicalab.engine.failures import FailureClass
from replicalab.engine.journal import Journal
from replicalab.engine.usage import REFUNDED, charge
from replicalab.engine.workers import note_outcome

_DROP_LEASE = sa.delete(TASK_LEASES).where(TASK_LEASES.c.task_id == sa.bindparam("task"))
_CLOSE_ATTEMPT = (  # and drop the lease in the same breath
    sa.update(ATTEMPTS)
    .where(
        ATTEMPTS.c.task_id == sa.bindparam("task"),
        ATTEMPTS.c.epoch == sa.bindparam("its_epoch"),
    )
    .values(ended_at=NOW)
    .returning(ATTEMPTS.c.worker)
    .add_cte(_DROP_LEASE.cte("lease"))
)


def leave_running(
    session: Session, task_id: int, epoch: int, target: TaskState, **values: Any
) -> bool:
    """Compare-and-set out of ``running``; whoever succeeds closes the attempt next."""
    leaving = _leaving(target)
    if values:
        leaving = leaving.values(values)
    return session.scalar(leaving, {"task": task_id, "its_epoch": epoch}) is not None


@cache
def _leaving(target: TaskState) -> ReturningUpdate[tuple[int]]:
    return (
        sa.update(TASKS)
        .where(
            TASKS.c.id == sa.bindparam("task"),
            TASKS.c.epoch == sa.bindparam("its_epoch"),
            TASKS.c.state == constant(TaskState.RUNNING),
        )
        .values(
            state=target,
            worker=None,
            dispatched_at=None,
            dispatches=0,
            queued_at=NOW if target is TaskState.QUEUED else TASKS.c.queued_at,
            ended_at=NOW if target.is_terminal else None,
            seconds=sa.extract("epoch", NOW - TASKS.c.started_at),
        )
        .returning(TASKS.c.id)
    )


def renew_epoch(session: Session, task_id: int) -> None:
    """Make the epoch of whoever ran the task stale."""
    session.execute(
        sa.update(TaskRow).where(TaskRow.id == task_id).values(epoch=sa.func.nextval("fence"))
    )


def close_attempt(
    session: Session,
    task_id: int,
    epoch: int,
    outcome: str,
    failure: FailureClass | None = None,
    error: str | None = None,
) -> None:
    """Write how the attempt under ``epoch`` ended, drop its lease, charge its owner if due."""
    ending = {"outcome": outcome, "error_class": failure, "error": error}
    attempt = {"task": task_id, "its_epoch": epoch}
    worker = session.scalars(_CLOSE_ATTEMPT, attempt | ending).one()
    if outcome != "stopped":
        note_outcome(session, worker, failure)
    if failure not in REFUNDED:
        charge(session, task_id)


def evict(session: Session, task_ids: sa.Select[int]) -> None:
    """Take succeeded tasks out of the cache; their rows stay as history."""
    session.execute(
        sa.update(TaskRow)
        .where(
            TaskRow.id.in_(task_ids),
            TaskRow.state == TaskState.SUCCEEDED,
            TaskRow.evicted_at.is_(None),
        )
        .values(evicted_at=NOW)
    )


def end_or_wait(
    session: Session, task_id: int, state: TaskState, *, error: str | None = None
) -> None:
    """Tell children, experiments and listeners that a task has left ``running``."""
    journal = Journal(wakes_scheduler=True)  # a worker has become free
    data = {"error": error} if error else {}
    journal.task(task_id, state, **data)
    touched = [task_id]
    if endings.is_doomed(state):
        touched += endings.fail_descendants(session, journal, task_id)
    if state.is_terminal or state is TaskState.QUARANTINED:
        endings.refresh_experiments(session, journal, touched)
    journal.write(session)


def lose(session: Session, task_id: int, epoch: int, reason: str, *, max_lost: int) -> bool:
    """Take a task from a worker that died or fell silent (T6).

    It is queued again, cancelled if that was asked for, or quarantined once it has been lost
    ``max_lost`` times: work that kills its workers must not go on doing so.
    """
    row = session.execute(
        sa.select(TaskRow.lost, TaskRow.cancel_requested)
        .where(TaskRow.id == task_id, TaskRow.epoch == epoch, TaskRow.state == TaskState.RUNNING)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return False
    target = TaskState.QUEUED
    if row.cancel_requested:
        target = TaskState.CANCELLED
    elif row.lost + 1 >= max_lost:
        target = TaskState.QUARANTINED
    leave_running(
        session,
        task_id,
        epoch,
        target,
        lost=row.lost + 1,
        error_class=FailureClass.LOST.value,
        error=reason,
    )
    renew_epoch(session, task_id)
    close_attempt(session, task_id, epoch, "lost", FailureClass.LOST, reason)
    end_or_wait(session, task_id, target, error=reason)
    return True
