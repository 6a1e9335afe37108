"""Opaque page cursors that nobody but this service can make."""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

from replicalab.errors import InvalidRequest

ID_BYTES = 16
MAC_BYTES = 16


class CursorCodec:
    """Signs the id after which a page begins.

    Args:
        secret: What the signing key is derived from; the same in every process of the gateway.
    """

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"replicalab cursor\0" + secret.encode()).digest()

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:MAC_BYTES]

    def encode(self, before: UUID) -> str:
        """The cursor of the page that begins after ``before``."""
        return base64.urlsafe_b64encode(before.bytes + self._mac(before.bytes)).decode().rstrip("=")

    def decode(self, cursor: str) -> UUID:
        """The id in ``cursor``, or ``InvalidRequest`` when this service did not make it."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        body, mac = raw[:ID_BYTES], raw[ID_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            item = {
                "in": "query",
                "pointer": "/cursor",
                "code": "invalid-cursor",
                "detail": "must be a next_cursor of an earlier page",
            }
            raise InvalidRequest("The cursor is not one of this service.", errors=[item])
        return UUID(bytes=body)
