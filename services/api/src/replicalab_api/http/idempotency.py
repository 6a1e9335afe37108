"""The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header)."""

import re
from typing import Annotated

from fastapi import Header

from replicalab.errors import InvalidIdempotencyKey

PATTERN = r"^[\x21-\x7e]{1,255}$"


async def idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Any unique text of at most 255 printable ASCII characters; a request "
            "that is sent again with the same key and body is answered, not done again.",
            json_schema_extra={"pattern": PATTERN},
            examples=["5f0f6a3e-6d0f-4a53-9d61-2f8a5f7f0c11"],
        ),
    ] = None,
) -> str | None:
    """The key, or None; raises ``InvalidIdempotencyKey``."""
    # The schema only describes the pattern: what breaks it has a problem of its own.
    if key is not None and not re.fullmatch(PATTERN, key):
        raise InvalidIdempotencyKey(
            "It must have 1 to 255 printable ASCII characters without spaces."
        )
    return key
