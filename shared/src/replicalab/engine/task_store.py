"""The only code that moves a task while it runs: claim, beat, complete, fail, release.

Every move is one transaction whose UPDATE names the state and the fencing epoch it expects; a
worker whose epoch is stale changes nothing and learns so from the answer.
"""

import logging
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import (
    NOW,
    TaskLeaseRow,
    TaskRow,
)
from replicalab.db.tables import ARTIFACTS, MEASUREMENTS
from replicalab.domain.artifacts import Damage, NamedArtifact
from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.measures import Measurement
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine import endings, moves, orphans
from replicalab.engine.checkpoints import record_checkpoint
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.claiming import take
from replicalab.engine.damages import note_damage, note_whole
from replicalab.engine.failures import POLICIES, FailureClass
from replicalab.engine.journal import Journal
from replicalab.engine.moves import Ending
from replicalab.engine.versions import Claimant, KindVersions
from replicalab.engine.waiting import next_waiting
from replicalab.storage.checkpoints import Checkpoint

_NEW_ARTIFACTS = insert(ARTIFACTS).on_conflict_do_nothing()
_NEW_MEASUREMENTS = sa.insert(MEASUREMENTS)

_SUCCEEDED, _STOPPED = Ending("succeeded"), Ending("stopped")

_MOST_UNREADABLE = 1000
"""So many tasks that it cannot read a worker passes over; further ones are only refused again."""

_log = logging.getLogger(__name__)


class BeatAnswer(Enum):
    """What a worker learns when it renews its lease."""

    GO_ON = auto()
    CANCEL = auto()
    FENCED = auto()


class TaskStore:
    """Tasks as their runners see them."""

    def __init__(
        self,
        database: Database,
        *,
        lease_seconds: float,
        max_lost: int,
        kinds: KindVersions = KIND_VERSIONS,
    ) -> None:
        self._database = database
        self._max_lost = max_lost
        self._kinds = frozenset(kinds.items())
        self._unreadable: deque[int] = deque(maxlen=_MOST_UNREADABLE)
        self._lease_seconds = lease_seconds

    def next_queued(
        self, queue: Queue, worker: str = "", *, is_at_work: bool = False
    ) -> int | None:
        """The task of ``queue`` to run next, for workers that look for themselves.

        To a worker that has been idle, tasks without a doorbell come first: those rung for may be
        on their way to another. One that goes on after a task takes them in the order of the
        doorbells, which is the fair one. What ``worker`` had better leave to another one is passed
        over.
        """
        claimant = Claimant(worker, self._kinds)
        with self._database.reading() as connection:
            return next_waiting(
                connection, queue, claimant, self._unreadable, is_at_work=is_at_work
            )

    def claim(self, task_id: int, worker: str) -> ClaimedTask | None:
        """Take a queued task (T2); None when there is nothing to take.

        What this program cannot read stays queued for one that can, and is passed over from now on.
        """
        claimant = Claimant(worker, self._kinds)
        try:
            with self._database.transaction() as session:
                return take(session, task_id, claimant, lease_seconds=self._lease_seconds)
        except ValidationError:
            self._unreadable.append(task_id)
            _log.warning("task %d is left to a newer worker: it cannot be read here", task_id)
            return None

    def beat(self, task_id: int, epoch: int, progress: float, stage: str) -> BeatAnswer:
        """Renew the lease and report progress (T3)."""
        lease = sa.func.make_interval(0, 0, 0, 0, 0, 0, self._lease_seconds)
        with self._database.transaction() as session:
            old = session.execute(
                sa.select(TaskLeaseRow.progress, TaskLeaseRow.stage)
                .where(TaskLeaseRow.task_id == task_id, TaskLeaseRow.epoch == epoch)
                .with_for_update()
            ).one_or_none()
            if old is None:
                return BeatAnswer.FENCED
            session.execute(
                sa.update(TaskLeaseRow)
                .where(TaskLeaseRow.task_id == task_id, TaskLeaseRow.epoch == epoch)
                .values(until=NOW + lease, progress=progress, stage=stage)
            )
            cancelled = session.scalar(
                sa.select(TaskRow.cancel_requested).where(TaskRow.id == task_id)
            )
            if (old.progress, old.stage) != (progress, stage):
                journal = Journal()
                journal.progress(task_id, progress, stage)
                journal.write(session)
            return BeatAnswer.CANCEL if cancelled else BeatAnswer.GO_ON

    def save_checkpoint(self, task_id: int, checkpoint: Checkpoint) -> bool:
        """Let the next attempt begin at ``checkpoint``; False when its epoch is stale."""
        with self._database.transaction() as session:
            return record_checkpoint(session, task_id, checkpoint)

    def complete(
        self,
        task_id: int,
        epoch: int,
        outputs: Sequence[NamedArtifact],
        measurements: Sequence[Measurement],
    ) -> bool:
        """Record success (T4): outputs, measurements and released children, or nothing at all.

        Returns:
            False when the epoch is stale; then nothing was written.
        """
        keys = [output.ref.store_key for output in outputs]
        with self._database.transaction() as session:
            is_swept = orphans.were_swept(session, task_id, epoch, keys)
            if not is_swept:
                return self._succeed(session, task_id, epoch, outputs, measurements)
        error = "The store was swept of an output while the task ran; it must be made again."
        return self.fail(task_id, epoch, FailureClass.DEPENDENCY, error)

    def _succeed(
        self,
        session: Session,
        task_id: int,
        epoch: int,
        outputs: Sequence[NamedArtifact],
        measurements: Sequence[Measurement],
    ) -> bool:
        if not moves.leave_running(session, task_id, epoch, TaskState.SUCCEEDED, _SUCCEEDED):
            return False
        journal = Journal(wakes_scheduler=True)  # a worker has become free
        _store_outputs(session, task_id, outputs, measurements)
        note_whole(session, {output.ref.sha256 for output in outputs})
        journal.task(task_id, TaskState.SUCCEEDED)
        endings.release_children(session, journal, task_id)
        endings.refresh_experiments(session, journal, [task_id])
        journal.write(session)
        return True

    def fail(self, task_id: int, epoch: int, failure: FailureClass, error: str) -> bool:
        """Record a failed attempt (T5): retried while its class allows, else failed for good.

        One that was to be cancelled meanwhile is: nobody needs another attempt.
        """
        policy = POLICIES[failure]
        with self._database.transaction() as session:
            row = session.execute(
                sa.select(TaskRow.failures, TaskRow.cancel_requested)
                .where(TaskRow.id == task_id, TaskRow.epoch == epoch)
                .with_for_update()
            ).one_or_none()
            if row is None:
                return False
            failures = row.failures + 1
            target = TaskState.RETRY_WAIT if failures <= policy.retries else TaskState.FAILED
            if row.cancel_requested:
                target = TaskState.CANCELLED
            delay = sa.func.make_interval(0, 0, 0, 0, 0, 0, policy.delay_before(failures))
            moved = moves.leave_running(
                session,
                task_id,
                epoch,
                target,
                Ending("failed", failure, error),
                failures=failures,
                error_class=failure.value,
                error=error,
                not_before=NOW + delay if target is TaskState.RETRY_WAIT else None,
            )
            if moved:
                moves.end_or_wait(session, task_id, target, error=error)
            return moved

    def stop(self, task_id: int, epoch: int) -> bool:
        """Give back a task that stopped on request: cancelled if that was asked, else queued."""
        with self._database.transaction() as session:
            cancelled = session.scalar(
                sa.select(TaskRow.cancel_requested)
                .where(TaskRow.id == task_id, TaskRow.epoch == epoch)
                .with_for_update()
            )
            if cancelled is None:
                return False
            target = TaskState.CANCELLED if cancelled else TaskState.QUEUED
            moved = moves.leave_running(session, task_id, epoch, target, _STOPPED)
            if moved:
                moves.end_or_wait(session, task_id, target)
            return moved

    def lose(self, task_id: int, epoch: int, reason: str) -> bool:
        """Record that the process running the task died (T6)."""
        with self._database.transaction() as session:
            return moves.lose(session, task_id, epoch, reason, max_lost=self._max_lost)

    def note_damage(self, sha256: str, damage: Damage) -> None:
        """Remember a lost or corrupt artifact, so that it is made again."""
        with self._database.transaction() as session:
            note_damage(session, sha256, damage)


def _store_outputs(
    session: Session,
    task_id: int,
    outputs: Sequence[NamedArtifact],
    measurements: Sequence[Measurement],
) -> None:
    if outputs:
        session.execute(
            _NEW_ARTIFACTS,
            [
                {"task_id": task_id, "name": output.name, **output.ref.model_dump()}
                for output in outputs
            ],
        )
    if measurements:
        session.execute(
            _NEW_MEASUREMENTS,
            [
                {
                    "task_id": task_id,
                    "position": position,
                    "name": measurement.name,
                    "body": measurement.model_dump(mode="json"),
                }
                for position, measurement in enumerate(measurements)
            ],
        )
