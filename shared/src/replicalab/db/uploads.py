"""The table of files that people send in parts."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from replicalab.db.accounts import ProjectRow, UserRow
from replicalab.db.schema import NOW, Base
from replicalab.domain.upload_resources import UploadKind, UploadState


class UploadRow(Base):
    """A file on its way, from the first part until it is imported, given up or expired.

    ``declared_sha256`` is what the sender says, and names no stored bytes: those lie under
    ``key`` until their import. ``cleaned_at`` is when nothing of it was left in the store.
    """

    __tablename__ = "uploads"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(sa.ForeignKey(ProjectRow.id))
    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey(UserRow.id))
    owner: Mapped[str]
    kind: Mapped[UploadKind]
    declared_sha256: Mapped[str] = mapped_column(sa.String(64))
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    part_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    store_upload_id: Mapped[str]
    state: Mapped[UploadState] = mapped_column(default=UploadState.OPEN)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    cleaned_at: Mapped[datetime | None]

    __table_args__ = (
        sa.Index(
            "ix_uploads_living",
            "owner_id",
            postgresql_where=sa.text("cleaned_at IS NULL"),
        ),
        sa.CheckConstraint("cleaned_at IS NULL OR state = 'aborted'", name="aborted_when_cleaned"),
    )

    @property
    def key(self) -> str:
        """Where the whole file lies from its completion to its import; never under ``cas/``."""
        return key_of(self.id)


def key_of(upload_id: UUID) -> str:
    """Where the file of an upload is put together."""
    return f"upload/{upload_id}"
