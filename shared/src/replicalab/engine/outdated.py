"""Tasks and programs of different versions: what has none gets one, what nobody can make ends."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, TaskRow, WorkerRow
from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import TaskInput
from replicalab.engine import endings
from replicalab.engine.failures import FailureClass
from replicalab.engine.journal import Journal
from replicalab.engine.workers import is_alive
from replicalab.planning.keys import version_of

OUTDATED_MINUTES = 10
"""How long a task of an old version waits for a worker that still makes it."""

NO_KNOWN_VERSION = 0
_BATCH = 500


def note_versions(session: Session) -> int:
    """Write down which version of its kind every open task has that an older gateway planned.

    Returns:
        How many there were.
    """
    rows = session.execute(
        sa.select(TaskRow.id, TaskRow.key, TaskRow.kind, TaskRow.params, TaskRow.inputs)
        .where(TaskRow.kind_version.is_(None), TaskRow.ended_at.is_(None))
        .order_by(TaskRow.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        inputs = [TaskInput.model_validate(one) for one in row.inputs]
        version = version_of(row.key, row.kind, row.params, inputs)
        session.execute(
            sa.update(TaskRow)
            .where(TaskRow.id == row.id)
            .values(kind_version=NO_KNOWN_VERSION if version is None else version)
        )
    return len(rows)


def end_outdated(session: Session, part: range) -> Sequence[int]:
    """End tasks that wait for a version of their kind that nobody makes any more.

    Every worker of their queue that is alive has moved on. Asked for again, the work is planned
    anew; what is done already is found under the keys that have not changed.

    Args:
        session: Whose transaction it is.
        part: Ids of the tasks that are looked at.

    Returns:
        Ids of the tasks that have failed.
    """
    ended = session.execute(
        sa.update(TaskRow)
        .where(TaskRow.id.in_(_outdated(part)))
        .values(
            state=TaskState.FAILED,
            ended_at=NOW,
            dispatched_at=None,
            error_class=FailureClass.OUTDATED.value,
            error=sa.func.format(
                "It was planned as version %s of %s, and the workers here make version %s. "
                "Ask for the experiment again (replicalab retry): it is planned anew.",
                TaskRow.kind_version,
                TaskRow.kind,
                _present_version(),
            ),
        )
        .returning(TaskRow.id, TaskRow.error)
    ).all()
    journal = Journal()
    for row in ended:
        journal.task(row.id, TaskState.FAILED, error=row.error)
    failed = [row.id for row in ended]
    endings.end_dependents(session, journal, failed)
    journal.write(session)
    return failed


def _outdated(part: range) -> sa.Select[int]:
    waited = NOW - sa.func.make_interval(0, 0, 0, 0, 0, OUTDATED_MINUTES)
    return (
        sa.select(TaskRow.id)
        .where(
            TaskRow.id.between(part[0], part[-1]),
            TaskRow.state == TaskState.QUEUED,
            TaskRow.kind_version < _present_version(),
            TaskRow.queued_at < waited,
            ~_is_made_somewhere(TaskRow.kind_version),
            _is_made_somewhere(_present_version()),
        )
        .order_by(TaskRow.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )


def _present_version() -> sa.ColumnElement[int]:
    return sa.case({kind.value: one for kind, one in KIND_VERSIONS.items()}, value=TaskRow.kind)


def _is_made_somewhere(version: sa.SQLColumnExpression[int | None]) -> sa.ColumnElement[bool]:
    """Whether a worker that is alive makes ``version`` of the task's kind."""
    workers = WorkerRow.__table__.alias()
    return sa.exists().where(
        workers.c.queue == TaskRow.queue,
        is_alive(workers),
        workers.c.kinds.contains(sa.func.jsonb_build_object(TaskRow.kind, version)),
    )
