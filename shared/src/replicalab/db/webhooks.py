"""Tables of webhooks and their deliveries, the outbox.

A trigger on ``experiments`` writes deliveries in the transaction that changes a state, whichever
service makes the change; workers need no right to look at webhooks for it. Secrets are not stored:
they follow from the pepper, the webhook and a number.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from replicalab.db.accounts import ProjectRow, UserRow
from replicalab.db.schema import NOW, Base
from replicalab.domain.webhook_resources import DeliveryState


class WebhookRow(Base):
    """An address, and what it is told of."""

    __tablename__ = "webhooks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(sa.ForeignKey(ProjectRow.id), index=True)
    experiment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("experiments.id"))
    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey(UserRow.id))
    owner: Mapped[str]
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(sa.String))
    secret_number: Mapped[int] = mapped_column(default=1)
    rotated_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]


class DeliveryRow(Base):
    """One thing to tell one webhook; ``body`` is sent as it stands, however often."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.func.gen_random_uuid())
    webhook_id: Mapped[UUID] = mapped_column(sa.ForeignKey(WebhookRow.id, ondelete="CASCADE"))
    experiment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("experiments.id"))
    event: Mapped[str]
    body: Mapped[str]
    state: Mapped[DeliveryState] = mapped_column(server_default=DeliveryState.PENDING.value)
    attempts: Mapped[int] = mapped_column(server_default=sa.text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    next_at: Mapped[datetime | None] = mapped_column(server_default=NOW)
    ended_at: Mapped[datetime | None]
    status: Mapped[int | None]
    error: Mapped[str | None]

    __table_args__ = (
        sa.Index(None, "webhook_id", "created_at"),
        sa.Index(
            "ix_webhook_deliveries_due", "next_at", postgresql_where=sa.text("state = 'pending'")
        ),
        sa.CheckConstraint("(state = 'pending') = (next_at IS NOT NULL)", name="pending_is_due"),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="others_have_ended"),
    )
