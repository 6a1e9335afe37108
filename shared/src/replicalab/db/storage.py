"""Tables about stored bytes: which are damaged, which nobody needs, how far the checks are."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from replicalab.db.schema import NOW, Base
from replicalab.domain.artifacts import Damage


class DamageRow(Base):
    """Bytes that were found damaged, by their digest; gone once they are written again.

    ``tried_at`` is when somebody last looked whether their producer can run again.
    """

    __tablename__ = "damages"

    sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    damage: Mapped[Damage]
    found_at: Mapped[datetime] = mapped_column(server_default=NOW)
    tried_at: Mapped[datetime | None]


class OrphanRow(Base):
    """An object that nothing refers to: marked first, swept after its grace.

    ``modified_at`` is the store's: an object that was written again since is no orphan. A swept
    one keeps its row for a while, so that whoever was writing the same bytes meanwhile learns it.
    """

    __tablename__ = "orphans"

    key: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    modified_at: Mapped[datetime]
    marked_at: Mapped[datetime] = mapped_column(server_default=NOW)
    swept_at: Mapped[datetime | None]


class StorageJobRow(Base):
    """How far a job of the store's keeper is, and when it did something last."""

    __tablename__ = "storage_jobs"

    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[str] = mapped_column(default="")
    ran_at: Mapped[datetime] = mapped_column(server_default=NOW)


def tables_with_digests() -> Sequence[sa.Table]:
    """Every table whose column ``sha256`` names stored bytes: whatever it names is never swept."""
    return [
        table
        for table in Base.metadata.sorted_tables
        if "sha256" in table.columns and table is not DamageRow.__table__
    ]


def tables_of_artifacts() -> Sequence[sa.Table]:
    """Those of them that say all that it takes to verify the bytes."""
    return [
        table
        for table in tables_with_digests()
        if {"size_bytes", "media_type"} <= set(table.columns.keys())
    ]
