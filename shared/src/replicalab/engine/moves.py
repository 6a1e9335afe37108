"""Leaving ``running``: the compare-and-set every ending goes through, and what it brings along."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, TaskRow
from replicalab.db.tables import ATTEMPTS, TASK_LEASES, TASKS, constant
from replicalab.domain.states import TaskState
from replicalab.engine import endings
from replicalab.engine.failures import FailureClass
from replicalab.engine.journal import Journal
from replicalab.engine.usage import REFUNDED, charging
from replicalab.engine.workers import ending_streaks, note_failure


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends: without a failure the work was done, or stopped on request."""

    outcome: Literal["succeeded", "failed", "stopped", "lost"]
    failure: FailureClass | None = None
    error: str | None = None


def leave_running(
    session: Session,
    task_id: int,
    epoch: int,
    target: TaskState,
    ending: Ending,
    **values: object,
) -> bool:
    """Compare-and-set out of ``running``, with all that goes with it.

    The attempt under ``epoch`` ends, its lease is dropped, its owner is charged if that is due, and
    its node is judged by it.

    Args:
        session: Whose transaction it is.
        task_id: Which task.
        epoch: Under which it must run.
        target: Where it goes.
        ending: What becomes of the attempt.
        values: Further columns of the task.

    Returns:
        False when the epoch is stale; then nothing was written.
    """
    is_charged = ending.failure not in REFUNDED
    leaving = _leaving(target, is_charged, values) if values else _just_leaving(target, is_charged)
    attempt = {
        "task": task_id,
        "its_epoch": epoch,
        "its_outcome": ending.outcome,
        "its_failure": ending.failure,
        "its_error": ending.error,
    }
    left = session.execute(leaving, attempt).one_or_none()
    if left is None:
        return False
    if ending.failure is not None:
        note_failure(session, left.worker, ending.failure)
    return True


def _leaving(
    target: TaskState, is_charged: bool, values: Mapping[str, Any]
) -> sa.Select[tuple[int, str]]:
    """The task first, since everything else asks whether it has left; then what it brings along."""
    left = (
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
            **values,
        )
        .returning(TASKS.c.id, TASKS.c.owner, TASKS.c.seconds)
        .cte("left_running")
    )
    has_left = sa.exists().select_from(left)
    closed = (
        sa.update(ATTEMPTS)
        .where(
            ATTEMPTS.c.task_id == sa.bindparam("task"),
            ATTEMPTS.c.epoch == sa.bindparam("its_epoch"),
            has_left,
        )
        .values(
            ended_at=NOW,
            outcome=sa.bindparam("its_outcome"),
            error_class=sa.bindparam("its_failure"),
            error=sa.bindparam("its_error"),
        )
        .returning(ATTEMPTS.c.worker)
        .cte("closed")
    )
    lease = sa.delete(TASK_LEASES).where(TASK_LEASES.c.task_id == sa.bindparam("task"), has_left)
    besides = [lease.cte("lease")]
    if is_charged:
        besides.append(charging(left).cte("charged"))
    if target is TaskState.SUCCEEDED:
        besides.append(ending_streaks(closed).cte("streak"))
    worker = sa.select(closed.c.worker).scalar_subquery().label("worker")
    return sa.select(left.c.id, worker).add_cte(*besides)


@cache
def _just_leaving(target: TaskState, is_charged: bool) -> sa.Select[tuple[int, str]]:
    return _leaving(target, is_charged, {})


def renew_epoch(session: Session, task_id: int) -> None:
    """Make the epoch of whoever ran the task stale."""
    session.execute(
        sa.update(TaskRow).where(TaskRow.id == task_id).values(epoch=sa.func.nextval("fence"))
    )


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
        Ending("lost", FailureClass.LOST, reason),
        lost=row.lost + 1,
        error_class=FailureClass.LOST.value,
        error=reason,
    )
    renew_epoch(session, task_id)
    end_or_wait(session, task_id, target, error=reason)
    return True
