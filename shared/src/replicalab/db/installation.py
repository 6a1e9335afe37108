"""The installation itself, and the machines that work for it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from replicalab.db.schema import NOW, Base
from replicalab.domain.tasks import Queue


class InstallationRow(Base):
    """What every process of an installation must agree on, in one row.

    ``since`` is when the database was made, or when a backup last took its place: what workers
    began before does not count any more. ``least_protocol`` is the oldest protocol that workers
    may follow.
    """

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    since: Mapped[datetime]
    least_protocol: Mapped[int]

    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)


class WorkerRow(Base):
    """A machine that runs tasks; ``streak`` counts losses in a row while others succeed.

    ``kinds`` is the version of every kind that its program makes; it and ``protocol`` are null for
    programs from before the register asked.
    """

    __tablename__ = "workers"

    node: Mapped[str] = mapped_column(primary_key=True)
    queue: Mapped[Queue]
    version: Mapped[str]
    protocol: Mapped[int | None]
    kinds: Mapped[dict[str, int] | None] = mapped_column(JSONB(none_as_null=True))
    device: Mapped[str]
    first_seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    last_seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    streak: Mapped[int] = mapped_column(default=0)
    drained_at: Mapped[datetime | None]
    drain_reason: Mapped[str | None]
