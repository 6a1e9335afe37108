"""After a backup has taken the database's place: ``python -m replicalab.engine.after_restore``.

Workers may have gone on since the backup. The restored rows would believe what those say of tasks
that ran at its moment, and would give out epochs and ids a second time. So all of that work is
taken back here, and every sequence goes on from the clock: above whatever was given out before,
also where one backup is restored twice.
"""

import logging
import sys
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.accounts import OidcLoginRow, SessionRow
from replicalab.db.database import Database
from replicalab.db.migrate import upgrade
from replicalab.db.models import InstallationRow, TaskRow
from replicalab.domain.states import TaskState
from replicalab.engine import moves
from replicalab.engine.failures import FailureClass
from replicalab.settings import MigrationSettings
from replicalab.telemetry import configure_logging

_TAKEN_BACK = moves.Ending(
    "stopped",
    FailureClass.DEPENDENCY,
    "A backup of the database was restored while the task ran.",
)
_log = logging.getLogger(__name__)

# Microseconds since 1970 stay below 2^53 until 2255, so that ids are exact in JSON everywhere.
_RAISE_SEQUENCES = sa.text(
    """
    SELECT setval(
        format('%I.%I', schemaname, sequencename)::regclass,
        greatest(
            coalesce(last_value, 0) + 1,
            floor(extract(epoch FROM clock_timestamp()) * 1e6)::bigint
        )
    )
    FROM pg_sequences WHERE schemaname = 'public' AND data_type = 'bigint'::regtype
    """
)


def after_restore(url: str) -> Mapping[str, int]:
    """Make a restored database safe to serve; run before any service reaches it.

    Args:
        url: The restored database, as its owner.

    Returns:
        How many tasks were taken back, and how many sessions of browsers ended.
    """
    upgrade(url)
    database = Database(url, pool_size=1)
    try:
        with database.transaction() as session:
            session.execute(_RAISE_SEQUENCES)
            session.execute(sa.update(InstallationRow).values(since=sa.func.clock_timestamp()))
            return {"tasks": _take_back(session), "sessions": _end_sessions(session)}
    finally:
        database.close()


def _take_back(session: Session) -> int:
    """Queue again what ran at the backup's moment; nobody pays for it, nobody is blamed."""
    running = session.execute(
        sa.select(TaskRow.id, TaskRow.epoch, TaskRow.cancel_requested)
        .where(TaskRow.state == TaskState.RUNNING)
        .order_by(TaskRow.id)
        .with_for_update()
    ).all()
    for task_id, epoch, cancelled in running:
        target = TaskState.CANCELLED if cancelled else TaskState.QUEUED
        moves.leave_running(session, task_id, epoch, target, _TAKEN_BACK)
        moves.renew_epoch(session, task_id)
        moves.end_or_wait(session, task_id, target)
    return len(running)


def _end_sessions(session: Session) -> int:
    """Whoever has logged out since the backup stays out, and so everybody logs in again."""
    session.execute(sa.delete(OidcLoginRow))
    return len(session.scalars(sa.delete(SessionRow).returning(SessionRow.user_id)).all())


def main() -> int:
    """Entry point, with the settings of the migration."""
    settings = MigrationSettings()
    configure_logging("INFO")
    done = after_restore(settings.database.url.get_secret_value())
    _log.info("taken back: %d tasks; ended: %d sessions", done["tasks"], done["sessions"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
