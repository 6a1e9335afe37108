"""Rows of uploads: which live, which are over, and which have left something in the store."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.accounts import UserRow
from replicalab.db.models import NOW
from replicalab.db.uploads import UploadRow
from replicalab.domain.upload_resources import NewUpload, UploadState
from replicalab.file_errors import TooManyUploads, UploadExpired, UploadNotFound

MOST_OF_USER = 4
"""Uploads that one user may have until they are imported."""
_TOLD_DAYS = 7
"""So long an upload that is over is told from one that never was."""
_MOST_AT_ONCE = 100

_lives = sa.and_(UploadRow.state != UploadState.ABORTED, UploadRow.expires_at > NOW)


def living(session: Session, upload_id: UUID, owner_id: UUID | None) -> UploadRow:
    """An upload that is open, or completed and not imported yet.

    Args:
        session: Of a transaction.
        upload_id: Which.
        owner_id: Whose it must be; None: anybody's.

    Raises:
        UploadNotFound: There is none, or it is somebody else's, or it was aborted or imported.
        UploadExpired: It was not imported in time.
    """
    row = session.get(UploadRow, upload_id, populate_existing=True)
    if row is None or owner_id not in {None, row.owner_id}:
        raise UploadNotFound("You have no upload with this id.")
    if session.scalar(sa.select(UploadRow.expires_at <= NOW).where(UploadRow.id == upload_id)):
        raise UploadExpired(f"It expired at {row.expires_at:%Y-%m-%d %H:%M} UTC.")
    if row.state is UploadState.ABORTED:
        raise UploadNotFound("You have no upload with this id.")
    return row


def same(session: Session, owner_id: UUID, new: NewUpload) -> UploadRow | None:
    """The living upload of the same file by the same user for the same purpose."""
    return session.scalars(
        sa.select(UploadRow)
        .where(
            _lives,
            UploadRow.owner_id == owner_id,
            UploadRow.project_id == new.project_id,
            UploadRow.kind == new.kind,
            UploadRow.declared_sha256 == new.sha256,
            UploadRow.size_bytes == new.size_bytes,
        )
        .order_by(UploadRow.id)
        .limit(1)
    ).one_or_none()


def lock_owner(session: Session, owner_id: UUID) -> None:
    """Let one request at a time add uploads of a user."""
    session.get_one(UserRow, owner_id, with_for_update=True)


def add(session: Session, row: UploadRow, life_seconds: float) -> UploadRow:
    """Add an upload that lives so long, unless the owner may have no more."""
    check_number(session, row.owner_id)
    life = sa.func.make_interval(0, 0, 0, 0, 0, 0, life_seconds)
    row.expires_at = session.scalars(sa.select(NOW + life)).one()
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def check_number(session: Session, owner_id: UUID) -> None:
    """Raise ``TooManyUploads`` where the user may have no more."""
    ids = session.scalars(
        sa.select(UploadRow.id).where(_lives, UploadRow.owner_id == owner_id).order_by(UploadRow.id)
    ).all()
    if len(ids) >= MOST_OF_USER:
        raise TooManyUploads(
            f"You have {len(ids)} uploads that are not imported yet; {MOST_OF_USER} are allowed.",
            uploads=[str(upload_id) for upload_id in ids],
        )


def note_completed(session: Session, upload_id: UUID) -> UploadState:
    """An open upload is complete; returns the state, which is another where it was aborted."""
    session.execute(
        sa.update(UploadRow)
        .where(UploadRow.id == upload_id, UploadRow.state == UploadState.OPEN)
        .values(state=UploadState.COMPLETED)
    )
    return session.scalars(sa.select(UploadRow.state).where(UploadRow.id == upload_id)).one()


def abort(session: Session, upload_id: UUID) -> None:
    """End an upload, whatever its state."""
    session.execute(
        sa.update(UploadRow).where(UploadRow.id == upload_id).values(state=UploadState.ABORTED)
    )


def take_over(session: Session) -> Sequence[UploadRow]:
    """Abort what has expired; returns what is over and may have left something in the store."""
    due = (
        sa.select(UploadRow)
        .where(UploadRow.cleaned_at.is_(None), sa.not_(_lives))
        .order_by(UploadRow.id)
        .limit(_MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(due).all()
    for row in rows:
        row.state = UploadState.ABORTED
    return rows


def note_clean(session: Session, upload_id: UUID) -> None:
    """Nothing of it is left in the store."""
    session.execute(sa.update(UploadRow).where(UploadRow.id == upload_id).values(cleaned_at=NOW))


def forget(session: Session) -> None:
    """Delete rows of uploads that are over for long."""
    long_ago = NOW - sa.func.make_interval(0, 0, 0, _TOLD_DAYS)
    session.execute(sa.delete(UploadRow).where(UploadRow.cleaned_at < long_ago))
