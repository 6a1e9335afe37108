"""The only code that moves a task while it runs: claim, beat, complete, fail, release.

Every move is one transaction whose UPDATE names the state and the fencing epoch it expects; a
worker whose epoch is stale changes nothing and learns so from the answer.
"""

from collections.abc import Sequence
from enum import Enum, auto

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import (
    NOW,
    ArtifactRow,
    AttemptRow,
    ExperimentRow,
    ExperimentTaskRow,
    MeasurementRow,
    TaskLeaseRow,
    TaskRow,
)
from replicalab.domain.artifacts import Damage, NamedArtifact
from replicalab.domain.measures import Measurement
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine import endings, moves, orphans
from replicalab.engine.checkpoints import newest_checkpoint, record_checkpoint
from replicalab.engine.claimed import ClaimedTask, params_of, resolve_inputs
from replicalab.engine.damages import note_damage, note_whole
from replicalab.engine.failures import POLICIES, FailureClass
from replicalab.engine.journal import Journal
from replicalab.engine.waiting import next_waiting
from replicalab.engine.workers import is_drained, may_run_elsewhere
from replicalab.storage.checkpoints import Checkpoint


class BeatAnswer(Enum):
    """What a worker learns when it renews its lease."""

    GO_ON = auto()
    CANCEL = auto()
    FENCED = auto()


class TaskStore:
    """Tasks as their runners see them."""

    def __init__(self, database: Database, *, lease_seconds: float, max_lost: int) -> None:
        self._database = database
        self._max_lost = max_lost
        self._lease = sa.func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds)

    def next_queued(
        self, queue: Queue, worker: str = "", *, is_at_work: bool = False
    ) -> int | None:
        """The task of ``queue`` to run next, for workers that look for themselves.

        To a worker that has been idle, tasks without a doorbell come first: those rung for may be
        on their way to another. One that goes on after a task takes them in the order of the
        doorbells, which is the fair one. What ``worker`` had better leave to another one is passed
        over.
        """
        with self._database.transaction() as session:
            is_for_it = ~may_run_elsewhere(worker)
            return next_waiting(session, queue, is_for_it, is_at_work=is_at_work)

    def claim(self, task_id: int, worker: str) -> ClaimedTask | None:
        """Take a queued task (T2); None when there is nothing to take."""
        with self._database.transaction() as session:
            row = session.execute(
                sa.update(TaskRow)
                .where(
                    TaskRow.id == task_id,
                    TaskRow.state == TaskState.QUEUED,
                    TaskRow.cancel_requested.is_(False),
                    TaskRow.held.is_(False),
                    ~is_drained(worker),
                    ~may_run_elsewhere(worker),
                )
                .values(
                    state=TaskState.RUNNING,
                    worker=worker,
                    epoch=sa.func.nextval("fence"),
                    attempts=TaskRow.attempts + 1,
                    started_at=NOW,
                )
                .returning(TaskRow.key, TaskRow.epoch, TaskRow.params, TaskRow.inputs)
            ).one_or_none()
            if row is None:
                return None
            self._open_attempt(session, task_id, row.epoch, worker)
            inputs = resolve_inputs(session, task_id, row.inputs)
            _start_experiments(session, task_id, worker)
            return ClaimedTask(
                id=task_id,
                key=row.key,
                epoch=row.epoch,
                params=params_of(row.params),
                inputs=inputs,
                checkpoint=newest_checkpoint(session, row.key),
            )

    def beat(self, task_id: int, epoch: int, progress: float, stage: str) -> BeatAnswer:
        """Renew the lease and report progress (T3)."""
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
                .values(until=NOW + self._lease, progress=progress, stage=stage)
            )
            cancelled = session.scalar(
                sa.select(TaskRow.cancel_requested).where(TaskRow.id == task_id)
            )
            if (old.progress, old.stage) != (progress, stage):
                journal = Journal()
                journal.task(task_id, "task-progress", progress=progress, stage=stage)
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
        if not moves.leave_running(session, task_id, epoch, TaskState.SUCCEEDED):
            return False
        journal = Journal(wakes_scheduler=True)  # a worker has become free
        moves.close_attempt(session, task_id, epoch, "succeeded")
        _store_outputs(session, task_id, outputs, measurements)
        note_whole(session, {output.ref.sha256 for output in outputs})
        journal.task(task_id, "task-state", state=TaskState.SUCCEEDED.value)
        endings.release_children(session, journal, task_id)
        endings.refresh_experiments(session, journal, [task_id])
        journal.write(session)
        return True

    def fail(self, task_id: int, epoch: int, failure: FailureClass, error: str) -> bool:
        """Record a failed attempt (T5): retried while its class allows, else failed for good."""
        policy = POLICIES[failure]
        with self._database.transaction() as session:
            failures = session.scalar(
                sa.select(TaskRow.failures + 1)
                .where(TaskRow.id == task_id, TaskRow.epoch == epoch)
                .with_for_update()
            )
            if failures is None:
                return False
            target = TaskState.RETRY_WAIT if failures <= policy.retries else TaskState.FAILED
            delay = sa.func.make_interval(0, 0, 0, 0, 0, 0, policy.delay_before(failures))
            moved = moves.leave_running(
                session,
                task_id,
                epoch,
                target,
                failures=failures,
                error_class=failure.value,
                error=error,
                not_before=NOW + delay if target is TaskState.RETRY_WAIT else None,
            )
            if moved:
                moves.close_attempt(session, task_id, epoch, "failed", failure, error)
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
            moved = moves.leave_running(session, task_id, epoch, target)
            if moved:
                moves.close_attempt(session, task_id, epoch, "stopped")
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

    def _open_attempt(self, session: Session, task_id: int, epoch: int, worker: str) -> None:
        lease = {"task_id": task_id, "epoch": epoch, "until": NOW + self._lease}
        session.execute(sa.insert(TaskLeaseRow).values(progress=0.0, stage="", **lease))
        session.execute(sa.insert(AttemptRow).values(task_id=task_id, epoch=epoch, worker=worker))


def _store_outputs(
    session: Session,
    task_id: int,
    outputs: Sequence[NamedArtifact],
    measurements: Sequence[Measurement],
) -> None:
    if outputs:
        session.execute(
            insert(ArtifactRow).on_conflict_do_nothing(),
            [
                {"task_id": task_id, "name": output.name, **output.ref.model_dump()}
                for output in outputs
            ],
        )
    if measurements:
        session.execute(
            sa.insert(MeasurementRow),
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


def _start_experiments(session: Session, task_id: int, worker: str) -> None:
    """Queued experiments run once one of their tasks does."""
    journal = Journal()
    started = session.scalars(
        sa.update(ExperimentRow)
        .where(
            ExperimentRow.state == ExperimentState.QUEUED,
            ExperimentRow.id.in_(
                sa.select(ExperimentTaskRow.experiment_id).where(
                    ExperimentTaskRow.task_id == task_id
                )
            ),
        )
        .values(state=ExperimentState.RUNNING)
        .returning(ExperimentRow.id)
    ).all()
    journal.task(task_id, "task-state", state=TaskState.RUNNING.value, worker=worker)
    for experiment_id in started:
        journal.experiment(experiment_id, "experiment-state", state=ExperimentState.RUNNING.value)
    journal.write(session)
