"""The reconciler: no state is left behind by anything that died. Safe to run twice at once."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.db.models import NOW, ExperimentRow, TaskEdgeRow, TaskLeaseRow, TaskRow
from replicalab.domain.states import TaskState
from replicalab.engine import endings, moves
from replicalab.engine.journal import Journal
from replicalab.engine.outdated import end_outdated, note_versions

_BATCH = 500


class Reconciler:
    """Moves on whatever has waited past its deadline; each rule is its own transaction."""

    def __init__(self, database: Database, *, lease_seconds: float, max_lost: int) -> None:
        self._database = database
        self._lease = sa.func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds)
        self._max_lost = max_lost

    def reconcile(self) -> Mapping[str, int]:
        """Run every rule; returns how many rows each one moved.

        ``expired-leases`` and ``due-retries`` move in normal life, ``unversioned`` and ``outdated``
        while programs are updated. The other rules heal what a defect or a damaged restore left:
        a non-zero count of theirs is worth an alert.
        """
        return {
            "expired-leases": self.reap_expired_leases(),
            "due-retries": self.queue_due_retries(),
            "unversioned": self.note_versions(),
            "outdated": self.end_outdated(),
            "stuck-blocked": self.queue_unblocked(),
            "orphaned-blocked": self.end_orphans(),
            "stale-experiments": self.refresh_stale_experiments(),
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
            self._announce_queued(due).write(session)
            return len(due)

    def note_versions(self) -> int:
        """Tasks that an older gateway planned get the version of their kind."""
        with self._database.transaction() as session:
            return note_versions(session)

    def end_outdated(self) -> int:
        """Tasks that no worker makes any more in their version end."""
        with self._database.transaction() as session:
            return len(end_outdated(session))

    def queue_unblocked(self) -> int:
        """R3, R4: blocked tasks whose count of unfinished parents is wrong are put right."""
        parents = TaskRow.__table__.alias("parents")
        unmet = (
            sa.select(sa.func.count())
            .select_from(TaskEdgeRow)
            .join(parents, parents.c.id == TaskEdgeRow.parent_id)
            .where(TaskEdgeRow.child_id == TaskRow.id, parents.c.state != TaskState.SUCCEEDED)
            .scalar_subquery()
        )
        with self._database.transaction() as session:
            wrong = session.execute(
                sa.select(TaskRow.id, unmet.label("unmet"))
                .where(TaskRow.state == TaskState.BLOCKED, TaskRow.unmet != unmet)
                .order_by(TaskRow.id)
                .limit(_BATCH)
                .with_for_update(of=TaskRow, skip_locked=True)
            ).all()
            for task_id, count in wrong:
                state = TaskState.BLOCKED if count else TaskState.QUEUED
                session.execute(
                    sa.update(TaskRow)
                    .where(TaskRow.id == task_id)
                    .values(unmet=count, state=state, queued_at=None if count else NOW)
                )
            self._announce_queued([row.id for row in wrong if not row.unmet]).write(session)
            return len(wrong)

    def end_orphans(self) -> int:
        """R3: blocked tasks that wait for one that will never succeed end as well (T8)."""
        parents = TaskRow.__table__.alias("parents")
        doomed = (
            sa.select(parents.c.id)
            .join(TaskEdgeRow, TaskEdgeRow.parent_id == parents.c.id)
            .join(TaskRow, TaskRow.id == TaskEdgeRow.child_id)
            .where(TaskRow.state == TaskState.BLOCKED, parents.c.state.in_(endings.DOOMED))
            .distinct()
            .order_by(parents.c.id)
            .limit(_BATCH)
        )
        with self._database.transaction() as session:
            journal = Journal()
            ended: list[int] = []
            for parent_id in session.scalars(doomed).all():
                ended += endings.fail_descendants(session, journal, parent_id)
            endings.refresh_experiments(session, journal, ended)
            journal.write(session)
            return len(ended)

    def refresh_stale_experiments(self) -> int:
        """R6: experiments whose stored state is not what follows from their tasks."""
        moved = 0
        with self._database.transaction() as session:
            journal = Journal()
            living = session.execute(
                sa.select(ExperimentRow.id, ExperimentRow.state)
                .where(ExperimentRow.ended_at.is_(None))
                .order_by(ExperimentRow.id)
                .with_for_update(skip_locked=True)
            ).all()
            for experiment_id, state in living:
                new = endings.refresh_experiment(session, journal, experiment_id, state)
                moved += new is not state
            journal.write(session)
        return moved

    @staticmethod
    def _announce_queued(task_ids: Sequence[int]) -> Journal:
        journal = Journal(wakes_scheduler=bool(task_ids))
        for task_id in task_ids:
            journal.task(task_id, TaskState.QUEUED)
        return journal
