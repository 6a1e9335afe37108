"""The event log: what happened, in commit order."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import EventRow

EVENTS_CHANNEL = "replicalab_events"
QUEUE_CHANNEL = "replicalab_queue"
_EVENTS_LOCK = 7_423_002


@dataclass(slots=True)
class Journal:
    """Events of one transaction, written together as its last act.

    An advisory lock is held from the writing to the commit, so ids rise in commit order and a
    reader that has seen an id never misses a lower one. It is taken after every row lock of the
    transaction, so it cannot take part in a deadlock.
    """

    _rows: list[dict[str, Any]] = field(default_factory=list)
    wakes_scheduler: bool = False

    def task(self, task_id: int, kind: str, **data: object) -> None:
        """Note something about a task."""
        self._rows.append({"kind": kind, "task_id": task_id, "experiment_id": None, "data": data})

    def experiment(self, experiment_id: UUID, kind: str, **data: object) -> None:
        """Note something about an experiment."""
        self._rows.append(
            {"kind": kind, "task_id": None, "experiment_id": experiment_id, "data": data}
        )

    def write(self, session: Session) -> None:
        """Write everything noted, and wake whoever listens once the transaction commits."""
        if self._rows:
            session.execute(sa.select(sa.func.pg_advisory_xact_lock(_EVENTS_LOCK)))
            session.execute(sa.insert(EventRow), self._rows)
        woken = [
            *([EVENTS_CHANNEL] if self._rows else []),
            *([QUEUE_CHANNEL] if self.wakes_scheduler else []),
        ]
        if woken:
            session.execute(sa.select(*(sa.func.pg_notify(channel, "") for channel in woken)))
