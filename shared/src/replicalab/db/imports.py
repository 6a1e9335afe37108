"""What the tables of everything that people bring have in common."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from replicalab.db.accounts import ProjectRow, UserRow
from replicalab.db.schema import NOW, Base


class ImportedRow(Base):
    """Something that was brought into a project, and the experiment that imports it.

    How far it is follows from the experiment. ``form`` is what the file was found to hold, noted
    at the first look after the import has succeeded.
    """

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(sa.ForeignKey(ProjectRow.id))
    owner_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey(UserRow.id))
    owner: Mapped[str]
    name: Mapped[str]
    licence: Mapped[str]
    sha256: Mapped[str] = mapped_column(sa.String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    media_type: Mapped[str]
    experiment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("experiments.id"), index=True)
    form: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805 (SQLAlchemy's own form)
        return (
            sa.UniqueConstraint("project_id", "name"),
            sa.Index(None, "project_id", "id"),
        )
