"""Objects that nothing refers to: found, marked, and after a grace swept. Never in one pass.

What keeps an object: any row that names its digest, the outputs of a checkpoint, the parameters of
unfinished work. A task may write hours before it commits, so a marked object is swept only once
every attempt that runs now began after the mark; and then only if nobody has written it again
since, which its time of modification tells. Whoever commits bytes locks their mark first.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, AttemptRow, CheckpointRow, ExperimentRow, TaskRow
from replicalab.db.storage import OrphanRow, tables_with_digests
from replicalab.domain.states import TaskState
from replicalab.storage.objects import StoredObject

_ARTIFACT = re.compile(r"cas/../../([0-9a-f]{64})")
_CHECKPOINT = re.compile(r"checkpoints/../([0-9a-f]{64})/(\d+)-(\d+)")
_OUTPUTS_OF_CHECKPOINTS = sa.text(
    "SELECT output #>> '{ref,sha256}' FROM checkpoints, jsonb_array_elements(outputs) AS output"
)
_YOUNG_SECONDS = 60
_TOMBSTONE_DAYS = 7


def unreferenced(session: Session, objects: Sequence[StoredObject]) -> list[StoredObject]:
    """Those of ``objects`` that nothing refers to; keys of unknown form count as referred to."""
    digests = {m[1]: found for found in objects if (m := _ARTIFACT.fullmatch(found.key))}
    saved = {
        (m[1], int(m[2]), int(m[3])): found
        for found in objects
        if (m := _CHECKPOINT.fullmatch(found.key))
    }
    needed = _needed_digests(session, list(digests))
    kept = set(
        session.execute(
            sa.select(CheckpointRow.task_key, CheckpointRow.epoch, CheckpointRow.number).where(
                CheckpointRow.task_key.in_({key for key, _, _ in saved})
            )
        )
    )
    return [found for digest, found in digests.items() if digest not in needed] + [
        found for checkpoint, found in saved.items() if checkpoint not in kept
    ]


def _needed_digests(session: Session, digests: list[str]) -> set[str]:
    needed: set[str] = set()
    for table in tables_with_digests():
        column = table.c.sha256
        needed.update(session.scalars(sa.select(column).where(column.in_(digests))))
    needed.update(session.scalars(_OUTPUTS_OF_CHECKPOINTS))
    left = [digest for digest in digests if digest not in needed]
    if left:
        needed.update(_named_by_unfinished_work(session, left))
    return needed


def _named_by_unfinished_work(session: Session, digests: list[str]) -> Sequence[str]:
    digest = sa.func.unnest(sa.literal(digests, sa.ARRAY(sa.String))).column_valued("digest")
    names_it = [
        sa.exists().where(row.ended_at.is_(None), sa.cast(column, sa.Text).contains(digest))
        for row, column in ((TaskRow, TaskRow.params), (ExperimentRow, ExperimentRow.spec))
    ]
    return session.scalars(sa.select(digest).where(sa.or_(*names_it))).all()


def marked_folders(session: Session) -> set[str]:
    """Folders (``top/xx``) with marks, also of objects that are gone meanwhile."""
    folder = sa.func.substring(OrphanRow.key, "^[^/]+/[^/]+")
    return set(session.scalars(sa.select(folder).distinct()))


def mark(session: Session, folder: str, orphans: Sequence[StoredObject]) -> None:
    """Bring the marks of ``folder`` to what was found there: ``orphans``, and no others."""
    same = {(found.key, found.modified_at) for found in orphans}
    in_folder = OrphanRow.key.startswith(f"{folder}/", autoescape=True)
    marked = session.execute(
        sa.select(OrphanRow.key, OrphanRow.modified_at, OrphanRow.swept_at).where(in_folder)
    ).all()
    obsolete = {row.key for row in marked if (row.key, row.modified_at) not in same}
    waiting = {row.key for row in marked if row.swept_at is None} - obsolete
    session.execute(
        sa.delete(OrphanRow).where(OrphanRow.key.in_(obsolete), OrphanRow.swept_at.is_(None))
    )
    session.execute(
        sa.delete(OrphanRow).where(in_folder, OrphanRow.swept_at < _ago(_TOMBSTONE_DAYS * 86_400))
    )
    now = session.execute(sa.select(NOW)).scalar_one()
    new = [
        {"key": found.key, "size_bytes": found.size_bytes, "modified_at": found.modified_at}
        for found in orphans
        # Times of modification are whole seconds: what is written now may be written twice in one.
        if found.key not in waiting and (now - found.modified_at).total_seconds() > _YOUNG_SECONDS
    ]
    if new:
        statement = insert(OrphanRow)
        again = {
            "modified_at": statement.excluded.modified_at,
            "marked_at": NOW,
            "swept_at": None,
        }
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["key"], set_=again, where=OrphanRow.swept_at.is_not(None)
            ),
            new,
        )


def due(session: Session, folder: str, grace_seconds: float) -> Sequence[OrphanRow]:
    """Marks of ``folder`` whose grace is over, and that no running attempt may have written."""
    oldest = sa.select(sa.func.min(TaskRow.started_at)).where(TaskRow.state == TaskState.RUNNING)
    return session.scalars(
        sa.select(OrphanRow)
        .where(
            OrphanRow.key.startswith(f"{folder}/", autoescape=True),
            OrphanRow.swept_at.is_(None),
            OrphanRow.marked_at < _ago(grace_seconds),
            OrphanRow.marked_at < sa.func.coalesce(oldest.scalar_subquery(), NOW),
        )
        .order_by(OrphanRow.key)
    ).all()


def take(session: Session, found: StoredObject) -> bool:
    """Lock the mark of an object for sweeping; False if it is an orphan no more."""
    row = session.get(OrphanRow, found.key, with_for_update={"skip_locked": True})
    if row is None or row.swept_at is not None or row.modified_at != found.modified_at:
        return False
    return bool(unreferenced(session, [found]))


def note_swept(session: Session, key: str) -> None:
    """Remember that an object was removed."""
    session.execute(sa.update(OrphanRow).where(OrphanRow.key == key).values(swept_at=NOW))


def lock_marks(session: Session, keys: Iterable[str]) -> datetime | None:
    """Hold off the sweep of objects that this transaction is about to refer to.

    Returns:
        When the last of them was swept; whoever had written it before that must write it again.
    """
    if not (written := sorted(keys)):
        return None
    swept = session.scalars(
        sa.select(OrphanRow.swept_at)
        .where(OrphanRow.key.in_(written))
        .order_by(OrphanRow.key)
        .with_for_update(read=True)
    ).all()
    return max((at for at in swept if at is not None), default=None)


def were_swept(session: Session, task_id: int, epoch: int, keys: Iterable[str]) -> bool:
    """Whether one of the outputs of an attempt was swept since it began; locks their marks."""
    swept_at = lock_marks(session, keys)
    if swept_at is None:
        return False
    began = session.scalar(
        sa.select(AttemptRow.started_at).where(
            AttemptRow.task_id == task_id, AttemptRow.epoch == epoch
        )
    )
    return began is None or swept_at >= began


def _ago(seconds: float) -> sa.ColumnElement[datetime]:
    return NOW - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
