"""Addresses that a service tells of ends; ``Lab.webhooks``."""

import json
from collections.abc import Iterable, Sequence
from uuid import UUID

from pydantic import TypeAdapter

from replicalab.client.transport import Transport
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.webhook_resources import (
    DeliveryRead,
    NewWebhookRead,
    WebhookEvent,
    WebhookRead,
)

ROOT = "/v1/webhooks"
JSON = {"Content-Type": "application/json"}
_WEBHOOKS = TypeAdapter(list[WebhookRead])
_DELIVERIES = TypeAdapter(list[DeliveryRead])


class Webhooks:
    """Addresses that are told when experiments end or need somebody. ``Lab.webhooks`` has one.

    What shows a secret is sent once: a repeated request could leave one that nobody holds.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        url: str,
        *,
        events: Iterable[WebhookEvent | str] = tuple(WebhookEvent),
        project_id: UUID = DEFAULT_PROJECT_ID,
        experiment_id: UUID | None = None,
    ) -> NewWebhookRead:
        """Have an address told; its secret is in the answer and nowhere else.

        Args:
            url: Where to send to.
            events: Of what.
            project_id: Of whose experiments.
            experiment_id: Only of this one.

        Raises:
            UnsafeWebhookUrl: The service does not send there.
        """
        body = {
            "url": url,
            "events": [WebhookEvent(event) for event in events],
            "project_id": str(project_id),
            "experiment_id": None if experiment_id is None else str(experiment_id),
        }
        response = self._transport.send(
            "POST", ROOT, content=json.dumps(body).encode(), headers=JSON, is_repeatable=False
        )
        return NewWebhookRead.model_validate_json(response.content)

    def list(self, *, project_id: UUID | None = None) -> Sequence[WebhookRead]:
        """Those of your projects, newest first."""
        params = {} if project_id is None else {"project": str(project_id)}
        return _WEBHOOKS.validate_json(self._transport.send("GET", ROOT, params=params).content)

    def get(self, webhook_id: UUID) -> WebhookRead:
        """One of them; raises ``WebhookNotFound``."""
        response = self._transport.send("GET", f"{ROOT}/{webhook_id}")
        return WebhookRead.model_validate_json(response.content)

    def delete(self, webhook_id: UUID) -> None:
        """Have it told nothing any more."""
        self._transport.send("DELETE", f"{ROOT}/{webhook_id}")

    def rotate(self, webhook_id: UUID) -> NewWebhookRead:
        """A new secret; the one before signs too for a day more."""
        response = self._transport.send("POST", f"{ROOT}/{webhook_id}:rotate", is_repeatable=False)
        return NewWebhookRead.model_validate_json(response.content)

    def test(self, webhook_id: UUID) -> DeliveryRead:
        """Have it told ``webhook.test``."""
        return self._send(f"{ROOT}/{webhook_id}:test")

    def deliveries(self, webhook_id: UUID) -> Sequence[DeliveryRead]:
        """What it was told or is to be told, newest first, and what came of it."""
        response = self._transport.send("GET", f"{ROOT}/{webhook_id}/deliveries")
        return _DELIVERIES.validate_json(response.content)

    def redeliver(self, webhook_id: UUID, delivery_id: UUID) -> DeliveryRead:
        """Have something sent again; raises ``DeliveryNotFound``."""
        return self._send(f"{ROOT}/{webhook_id}/deliveries/{delivery_id}:redeliver")

    def _send(self, path: str) -> DeliveryRead:
        return DeliveryRead.model_validate_json(self._transport.send("POST", path).content)
