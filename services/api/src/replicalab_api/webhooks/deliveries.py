"""What webhooks were told, telling it again, and telling them that they are heard."""

import json
from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.db.schema import NOW
from replicalab.db.webhooks import DeliveryRow
from replicalab.domain.accounts import Principal
from replicalab.domain.webhook_resources import TEST_EVENT, DeliveryRead, DeliveryState
from replicalab.errors import IllegalTransition
from replicalab.refusals import DeliveryNotFound
from replicalab_api.identity import audit
from replicalab_api.webhooks.visible import changeable, read_delivery, seen

MOST_SHOWN = 200


class LabDeliveries:
    """The deliveries of webhooks that a caller sees."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, caller: Principal, webhook_id: UUID) -> Sequence[DeliveryRead]:
        """The newest of a webhook, newest first; raises ``WebhookNotFound``."""
        newest = (
            sa.select(DeliveryRow)
            .where(DeliveryRow.webhook_id == webhook_id)
            .order_by(DeliveryRow.created_at.desc(), DeliveryRow.id)
            .limit(MOST_SHOWN)
        )
        with self._database.transaction() as session:
            seen(session, caller, webhook_id)
            return [read_delivery(row) for row in session.scalars(newest)]

    def test(self, caller: Principal, webhook_id: UUID) -> DeliveryRead:
        """Tell a webhook that it is heard.

        Raises:
            WebhookNotFound: The caller sees none of this id.
            Forbidden: The caller has not made it, and is no maintainer of the project.
            IllegalTransition: It is disabled.
        """
        with self._database.transaction() as session:
            webhook = changeable(session, caller, webhook_id)
            _must_be_enabled(webhook.disabled_reason)
            now = session.execute(sa.select(NOW)).scalar_one()
            body = {
                "type": TEST_EVENT,
                "timestamp": now.isoformat(),
                "data": {"webhook_id": str(webhook_id), "project_id": str(webhook.project_id)},
            }
            row = DeliveryRow(webhook_id=webhook_id, event=TEST_EVENT, body=json.dumps(body))
            session.add(row)
            session.flush()
            session.refresh(row)
            audit.record(session, caller, "webhook.test", f"webhook/{webhook_id}")
            return read_delivery(row)

    def redeliver(self, caller: Principal, webhook_id: UUID, delivery_id: UUID) -> DeliveryRead:
        """Send a delivery again, now, with as many attempts as a new one.

        Raises:
            WebhookNotFound: The caller sees none of this id.
            DeliveryNotFound: The webhook has no such delivery.
            Forbidden: The caller has not made the webhook, and is no maintainer of the project.
            IllegalTransition: The webhook is disabled.
        """
        with self._database.transaction() as session:
            webhook = changeable(session, caller, webhook_id)
            row = session.get(DeliveryRow, delivery_id, with_for_update=True)
            if row is None or row.webhook_id != webhook_id:
                raise DeliveryNotFound("The webhook has no delivery with this id.")
            _must_be_enabled(webhook.disabled_reason)
            row.next_at = session.execute(sa.select(NOW)).scalar_one()
            row.state, row.attempts, row.ended_at = DeliveryState.PENDING, 0, None
            audit.record(session, caller, "webhook.redeliver", f"webhook/{webhook_id}")
            return read_delivery(row)


def _must_be_enabled(disabled_reason: str | None) -> None:
    if disabled_reason is not None:
        raise IllegalTransition(f"The webhook is disabled: {disabled_reason}")
