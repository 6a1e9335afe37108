"""The event log: what happened, in commit order."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from replicalab.db.tables import EVENTS
from replicalab.domain.states import EventKind, ExperimentState, TaskState

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

    def task(self, task_id: int, state: TaskState, **data: object) -> None:
        """Note that a task has come to ``state``, and why."""
        self._note(EventKind.TASK_STATE, task_id, None, state=state.value, **data)

    def queued(self, task_ids: Iterable[int]) -> None:
        """Note that tasks wait for workers, and wake the scheduler for them."""
        for task_id in task_ids:
            self.task(task_id, TaskState.QUEUED)
            self.wakes_scheduler = True

    def progress(self, task_id: int, progress: float, stage: str | None) -> None:
        """Note how far a running task is."""
        self._note(EventKind.TASK_PROGRESS, task_id, None, progress=progress, stage=stage)

    def experiment(self, experiment_id: UUID, state: ExperimentState, **data: object) -> None:
        """Note that an experiment has come to ``state``, and how."""
        self._note(EventKind.EXPERIMENT_STATE, None, experiment_id, state=state.value, **data)

    def change(self, experiment_id: UUID, **data: object) -> None:
        """Note what somebody has changed of an experiment: its hold or its priority."""
        self._note(EventKind.EXPERIMENT_CHANGE, None, experiment_id, **data)

    def _note(
        self, kind: EventKind, task_id: int | None, experiment_id: UUID | None, **data: object
    ) -> None:
        self._rows.append(
            {
                "kind": kind.value,
                "task_id": task_id,
                "experiment_id": None if experiment_id is None else str(experiment_id),
                "data": data,
            }
        )

    def write(self, session: Session) -> None:
        """Write everything noted, and wake whoever listens once the transaction commits."""
        if self._rows:
            session.execute(_write(wakes=self.wakes_scheduler), {"noted": self._rows})
        elif self.wakes_scheduler:
            session.execute(sa.select(_wake(QUEUE_CHANNEL)))


@cache
def _write(*, wakes: bool) -> sa.Insert:
    """Any number of events at once; their ids are drawn when the lock of the log is held."""
    calls = [sa.func.pg_advisory_xact_lock(_EVENTS_LOCK), _wake(EVENTS_CHANNEL)]
    if wakes:
        calls.append(_wake(QUEUE_CHANNEL))
    told = sa.select(*calls).cte("told")
    columns = [EVENTS.c.kind, EVENTS.c.task_id, EVENTS.c.experiment_id, EVENTS.c.data]
    noted = (
        sa.func.jsonb_to_recordset(sa.bindparam("noted", type_=JSONB))
        .table_valued(*(sa.column(one.name, one.type) for one in columns))
        .render_derived(with_types=True)
    )
    return sa.insert(EVENTS).from_select(
        [one.name for one in columns], sa.select(*noted.c).select_from(told.join(noted, sa.true()))
    )


def _wake(channel: str) -> sa.ColumnElement[Any]:
    return sa.func.pg_notify(channel, "")
