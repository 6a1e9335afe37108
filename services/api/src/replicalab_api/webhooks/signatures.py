"""Signatures of deliveries, as the Standard Webhooks specification 1.0 has them."""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from replicalab_api.identity.token_text import Pepper

SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins


def message_id(delivery_id: UUID) -> str:
    """The ``webhook-id`` of a delivery: the same at every attempt, so that receivers can tell."""
    return f"msg_{delivery_id.hex}"


class WebhookSecrets:
    """Secrets that follow from the pepper: the database holds none.

    Args:
        pepper: Of the installation.
    """

    def __init__(self, pepper: Pepper) -> None:
        self._pepper = pepper

    def key(self, webhook_id: UUID, number: int) -> bytes:
        """The webhook's secret after ``number - 1`` rotations, 32 bytes."""
        return self._pepper.digest("webhook", f"{webhook_id}/{number}")

    def text(self, webhook_id: UUID, number: int) -> str:
        """The secret as receivers keep it."""
        return SECRET_PREFIX + base64.b64encode(self.key(webhook_id, number)).decode()

    def headers(
        self,
        webhook_id: UUID,
        numbers: Sequence[int],
        *,
        delivery_id: UUID,
        timestamp: int,
        body: bytes,
    ) -> dict[str, str]:
        """What tells a receiver that ``body`` comes from here.

        Args:
            webhook_id: Whom it goes to.
            numbers: Of the secrets that are valid; there are two after a rotation.
            delivery_id: Which delivery it is.
            timestamp: Of this attempt, seconds since 1970.
            body: What is sent.
        """
        name = message_id(delivery_id)
        signed = f"{name}.{timestamp}.".encode() + body
        signatures = (
            "v1," + base64.b64encode(hmac.digest(self.key(webhook_id, n), signed, sha256)).decode()
            for n in numbers
        )
        return {
            "webhook-id": name,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signatures),
        }
