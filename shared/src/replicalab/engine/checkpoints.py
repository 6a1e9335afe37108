"""Rows of checkpoints: which one a task goes on from, and which ones nobody needs any more.

They hang on the key of a task, not on one generation of it: what a cancelled experiment had
trained serves the next one that asks for the same work.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import NOW, CheckpointRow, TaskRow
from replicalab.db.tables import CHECKPOINTS
from replicalab.domain.states import TaskState
from replicalab.errors import Unavailable
from replicalab.storage.checkpoints import Checkpoint, CheckpointStore
from replicalab.storage.objects import ObjectStore

KEEP_DAYS = 7
"""How long the checkpoint of a task that failed or was cancelled waits for another try."""

SWEEP_SECONDS = 60.0
_BATCH = 100
_NEWEST = (
    sa.select(CHECKPOINTS)
    .where(CHECKPOINTS.c.task_key == sa.bindparam("key"))
    .order_by(CHECKPOINTS.c.epoch.desc(), CHECKPOINTS.c.number.desc())
    .limit(1)
)
_log = logging.getLogger(__name__)


def newest_checkpoint(session: Session, task_key: str) -> Checkpoint | None:
    """What was saved last for ``task_key``, under whatever epoch."""
    row = session.execute(_NEWEST, {"key": task_key}).one_or_none()
    return None if row is None else _checkpoint_of(row)


def record_checkpoint(session: Session, task_id: int, checkpoint: Checkpoint) -> bool:
    """Write the row of a checkpoint if its epoch still owns the running task.

    Work that moves on does not kill its workers, so that its losses up to here are forgiven.

    Returns:
        False when the epoch is stale; then nothing was written.
    """
    owned = session.scalar(
        sa.update(TaskRow)
        .where(
            TaskRow.id == task_id,
            TaskRow.key == checkpoint.task_key,
            TaskRow.epoch == checkpoint.epoch,
            TaskRow.state == TaskState.RUNNING,
        )
        .values(lost=0)
        .returning(TaskRow.id)
    )
    if owned is None:
        return False
    session.execute(
        insert(CheckpointRow)
        .values(checkpoint.model_dump(mode="json"))
        .on_conflict_do_nothing()  # the same message again
    )
    return True


class CheckpointSweeper(threading.Thread):
    """Deletes checkpoints that nobody will go on from; any number may run side by side.

    Bytes go before their row: what was interrupted is found again.
    """

    def __init__(self, database: Database, open_store: Callable[[], ObjectStore]) -> None:
        super().__init__(name="checkpoint-sweeper", daemon=True)
        self._database = database
        self._open_store = open_store  # only once there is something to delete
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(SWEEP_SECONDS):
            try:
                self.sweep()
            except Unavailable as error:
                _log.warning("cannot sweep checkpoints: %s", error.detail)

    def stop(self) -> None:
        """Stop sweeping."""
        self._stopping.set()

    def sweep(self) -> int:
        """Delete what is obsolete now, at most a hundred; returns how many."""
        with self._database.transaction() as session:
            rows = session.scalars(_obsolete().limit(_BATCH)).all()
            obsolete = [_checkpoint_of(row) for row in rows]
        if not obsolete:
            return 0
        store = CheckpointStore(self._open_store())
        for checkpoint in obsolete:
            store.delete(checkpoint)
            with self._database.transaction() as session:
                session.execute(
                    sa.delete(CheckpointRow).where(
                        CheckpointRow.task_key == checkpoint.task_key,
                        CheckpointRow.epoch == checkpoint.epoch,
                        CheckpointRow.number == checkpoint.number,
                    )
                )
        return len(obsolete)


def _obsolete() -> sa.Select[CheckpointRow]:
    """Superseded by a newer one; or the newest of work that is done, or given up for long."""
    newer = CheckpointRow.__table__.alias("newer")
    is_superseded = sa.exists().where(
        newer.c.task_key == CheckpointRow.task_key,
        sa.tuple_(newer.c.epoch, newer.c.number)
        > sa.tuple_(CheckpointRow.epoch, CheckpointRow.number),
    )
    state = (
        sa.select(TaskRow.state)
        .where(TaskRow.key == CheckpointRow.task_key)
        .order_by(TaskRow.generation.desc())
        .limit(1)
        .scalar_subquery()
    )
    is_old = CheckpointRow.saved_at < NOW - sa.func.make_interval(0, 0, 0, KEEP_DAYS)
    ended = [state.value for state in TaskState if state.is_terminal]
    return sa.select(CheckpointRow).where(
        is_superseded | (state == TaskState.SUCCEEDED) | (state.in_(ended) & is_old)
    )


def _checkpoint_of(row: CheckpointRow | sa.Row[Any]) -> Checkpoint:
    return Checkpoint.model_validate(
        {
            "task_key": row.task_key,
            "epoch": row.epoch,
            "number": row.number,
            "sha256": row.sha256,
            "size_bytes": row.size_bytes,
            "outputs": tuple(row.outputs),
        }
    )
