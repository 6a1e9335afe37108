"""Entity tags and conditional requests, RFC 9110 sections 8.8.3 and 13."""

import hashlib


def etag_of(body: bytes) -> str:
    """A strong entity tag of ``body``."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_unchanged(if_match: str, etag: str) -> bool:
    """Whether the client has seen the present state (strong comparison, as the RFC asks)."""
    tags = [tag.strip() for tag in if_match.split(",")]
    return "*" in tags or etag in tags


def is_fresh(if_none_match: str | None, etag: str) -> bool:
    """Whether the client's copy is the present one (weak comparison, as the RFC asks)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags
