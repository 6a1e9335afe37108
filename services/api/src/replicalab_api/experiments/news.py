"""Which experiments have news, found out once for everybody who watches."""

import logging
from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import EventRow, ExperimentTaskRow
from replicalab.errors import DatabaseUnavailable
from replicalab_api.http.wakeups import Wakeups

_log = logging.getLogger(__name__)


class News:
    """Wakes those who watch an experiment when the event log has something new about it."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self._database = database
        self._wakeups = wakeups
        self._read_to: int | None = None

    def spread(self) -> None:
        """Read what is new; whoever cannot be told what it is about looks for themselves.

        Called for every notification and after every loss of the connection that brings them.
        """
        if not self._wakeups.is_anybody_watching:
            self._read_to = None
            return
        try:
            with self._database.transaction() as session:
                things = self._read(session)
        except DatabaseUnavailable as error:
            _log.warning("cannot read the news, everybody looks: %s", error.detail)
            things = None
        self._wakeups.notify(things)

    def _read(self, session: Session) -> Collection[UUID] | None:
        newest = session.scalar(sa.select(sa.func.max(EventRow.id))) or 0
        before, self._read_to = self._read_to, newest
        if before is None:
            return None
        is_new = EventRow.id.between(before + 1, newest)
        own = sa.select(EventRow.experiment_id).where(is_new, EventRow.experiment_id.is_not(None))
        of_tasks = sa.select(ExperimentTaskRow.experiment_id).where(
            ExperimentTaskRow.task_id.in_(sa.select(EventRow.task_id).where(is_new))
        )
        return set(session.scalars(own.union(of_tasks)))
