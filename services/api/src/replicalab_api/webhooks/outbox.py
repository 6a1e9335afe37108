"""The outbox of deliveries: what is due, what came of it, what is tried again and what is dead."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.schema import NOW
from replicalab.db.webhooks import DeliveryRow, WebhookRow
from replicalab.domain.webhook_resources import DeliveryState

GRACE = timedelta(hours=24)
"""So long after a rotation the secret before it signs too."""
CLAIM_SECONDS = 60
"""A delivery whose deliverer died is due again after so long."""
KEPT = timedelta(days=30)
GONE = 410


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and how soon.

    Attributes:
        first_seconds: Upper bound of the first wait; it doubles with each attempt.
        most_seconds: Upper bound of any wait.
        attempts: After so many a delivery is dead.
    """

    first_seconds: float = 10.0
    most_seconds: float = 6 * 3600.0
    attempts: int = 15

    def bound_seconds(self, attempt: int) -> float:
        """Longest wait after attempt number ``attempt``, counted from 1."""
        return min(self.first_seconds * 2.0 ** (attempt - 1), self.most_seconds)


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """What is to be sent now."""

    id: UUID
    webhook_id: UUID
    url: str
    secret_numbers: tuple[int, ...]
    body: bytes
    attempt: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        status: Of the answer, if there was one.
        error: Why it failed; None where it did not.
        retry_after_seconds: What the receiver asks for.
    """

    status: int | None = None
    error: str | None = None
    retry_after_seconds: float = 0.0


class Outbox:
    """Deliveries in PostgreSQL. Several deliverers may take from it at once."""

    def __init__(self, database: Database, retries: Retries | None = None) -> None:
        self._database = database
        self._retries = retries or Retries()
        # Spreading attempts in time needs no secret randomness.
        self._random = random.Random()  # noqa: S311

    def take(self, most: int) -> Sequence[DueDelivery]:
        """At most ``most`` due deliveries, one of each webhook, so that none holds up another's.

        Who takes one and dies has made one attempt; the delivery is due again a minute later.
        """
        oldest = (
            sa.select(DeliveryRow.id)
            .join(WebhookRow, WebhookRow.id == DeliveryRow.webhook_id)
            .where(_is_due(), WebhookRow.disabled_at.is_(None))
            .order_by(DeliveryRow.webhook_id, DeliveryRow.created_at)
            .ext(distinct_on(DeliveryRow.webhook_id))
            .limit(most)
        )
        take = (
            sa.update(DeliveryRow)
            # Asked again once the row is locked: another deliverer may have taken it.
            .where(DeliveryRow.id.in_(oldest), _is_due())
            .values(
                attempts=DeliveryRow.attempts + 1, next_at=NOW + timedelta(seconds=CLAIM_SECONDS)
            )
            .returning(DeliveryRow)
        )
        with self._database.transaction() as session:
            taken = session.scalars(take).all()
            now = session.execute(sa.select(NOW)).scalar_one()
            hooks = {row.id: row for row in _webhooks(session, taken)}
            return [_due(row, hooks[row.webhook_id], now) for row in taken]

    def settle(self, due: DueDelivery, outcome: Outcome) -> None:
        """Write what came of an attempt, unless somebody else has made another since."""
        values: dict[str, object] = {"status": outcome.status, "error": outcome.error}
        if outcome.error is None:
            values |= {"state": DeliveryState.DELIVERED, "next_at": None, "ended_at": NOW}
        elif due.attempt >= self._retries.attempts or outcome.status == GONE:
            values |= {"state": DeliveryState.DEAD, "next_at": None, "ended_at": NOW}
        else:
            values["next_at"] = NOW + timedelta(seconds=self._pause_seconds(due, outcome))
        with self._database.transaction() as session:
            session.execute(
                sa.update(DeliveryRow)
                .where(
                    DeliveryRow.id == due.id,
                    DeliveryRow.attempts == due.attempt,
                    DeliveryRow.state == DeliveryState.PENDING,
                )
                .values(values)
            )
            if outcome.status == GONE:
                _disable(session, due.webhook_id, "Its receiver answered 410 Gone.")

    def _pause_seconds(self, due: DueDelivery, outcome: Outcome) -> float:
        """Full jitter, and no sooner than the receiver asks."""
        pause = self._random.uniform(0, self._retries.bound_seconds(due.attempt))
        return max(pause, min(outcome.retry_after_seconds, self._retries.most_seconds))

    def forget_old(self) -> None:
        """Remove what ended a month ago."""
        with self._database.transaction() as session:
            session.execute(sa.delete(DeliveryRow).where(DeliveryRow.ended_at < NOW - KEPT))


def _is_due() -> sa.ColumnElement[bool]:
    return sa.and_(DeliveryRow.state == DeliveryState.PENDING, DeliveryRow.next_at <= NOW)


def _webhooks(session: Session, taken: Sequence[DeliveryRow]) -> Sequence[WebhookRow]:
    ids = [row.webhook_id for row in taken]
    return session.scalars(sa.select(WebhookRow).where(WebhookRow.id.in_(ids))).all()


def _due(row: DeliveryRow, webhook: WebhookRow, now: datetime) -> DueDelivery:
    number, rotated_at = webhook.secret_number, webhook.rotated_at
    is_fresh = rotated_at is not None and now < rotated_at + GRACE
    return DueDelivery(
        id=row.id,
        webhook_id=row.webhook_id,
        url=webhook.url,
        secret_numbers=(number, number - 1) if is_fresh else (number,),
        body=row.body.encode(),
        attempt=row.attempts,
    )


def _disable(session: Session, webhook_id: UUID, reason: str) -> None:
    """Tell a webhook nothing any more; what still waits for it is dead."""
    session.execute(
        sa.update(WebhookRow)
        .where(WebhookRow.id == webhook_id, WebhookRow.disabled_at.is_(None))
        .values(disabled_at=NOW, disabled_reason=reason)
    )
    session.execute(
        sa.update(DeliveryRow)
        .where(DeliveryRow.webhook_id == webhook_id, DeliveryRow.state == DeliveryState.PENDING)
        .values(state=DeliveryState.DEAD, next_at=None, ended_at=NOW, error="It was disabled.")
    )
