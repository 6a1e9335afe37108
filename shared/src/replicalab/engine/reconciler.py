"""The reconciler: no state is left behind by anything that died. Safe to run twice at once."""

from collections.abc import Mapping

import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.db.models import NOW, TaskLeaseRow, TaskRow
from replicalab.domain.states import TaskState
from replicalab.engine import moves
from replicalab.engine.healing import Healer
from replicalab.engine.journal import Journal
from replicalab.engine.outdated import note_versions

_BATCH = 500


class Reconciler:
    """Moves on whatever has waited past its deadline; each rule is its own transaction."""

    def __init__(self, database: Database, *, lease_seconds: float, max_lost: int) -> None:
        self._database = database
        self._lease = sa.func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds)
        self._max_lost = max_lost
        self._healer = Healer(database)

    def reconcile(self) -> Mapping[str, int]:
        """Run every rule; returns how many rows each one moved.

        ``expired-leases`` and ``due-retries`` move in normal life, ``unversioned`` and ``outdated``
        while programs are updated. The others heal, a part at a time, what a defect or a damaged
        restore left: a non-zero count of theirs is worth an alert.
        """
        return {
            "expired-leases": self.reap_expired_leases(),
            "due-retries": self.queue_due_retries(),
            "unversioned": self.note_versions(),
            **self._healer.heal(),
        }

    def reap_expired_leases(self) -> int:
        """R1: tasks whose worker fell silent go back to the queue."""
        deadline = sa.func.coalesce(TaskLeaseRow.until, TaskRow.started_at + self._lease)
        with self._database.transaction() as session:
            expired = session.execute(
                sa.select(TaskRow.id, TaskRow.epoch, TaskRow.worker)
                .outerjoin(TaskLeaseRow, TaskLeaseRow.task_id == TaskRow.id)
                .where(TaskRow.state == TaskState.RUNNING, deadline < NOW)
                .order_by(TaskRow.id)
                .limit(_BATCH)
                .with_for_update(of=TaskRow, skip_locked=True)
            ).all()
        return sum(self._reap(row.id, row.epoch, row.worker) for row in expired)

    def _reap(self, task_id: int, epoch: int, worker: str) -> bool:
        with self._database.transaction() as session:
            reason = f"Worker {worker} fell silent: its lease ran out."
            return moves.lose(session, task_id, epoch, reason, max_lost=self._max_lost)

    def queue_due_retries(self) -> int:
        """R5: failed attempts whose waiting time is over are queued again (T7)."""
        with self._database.transaction() as session:
            due = session.scalars(
                sa.update(TaskRow)
                .where(TaskRow.state == TaskState.RETRY_WAIT, TaskRow.not_before <= NOW)
                .values(state=TaskState.QUEUED, queued_at=NOW, not_before=None)
                .returning(TaskRow.id)
            ).all()
            journal = Journal()
            journal.queued(due)
            journal.write(session)
            return len(due)

    def note_versions(self) -> int:
        """Tasks that an older gateway planned get the version of their kind."""
        with self._database.transaction() as session:
            return note_versions(session)
