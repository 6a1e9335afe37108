"""The object store port: bytes under keys, nothing cleverer than every S3 server offers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from replicalab.errors import Defect

CHUNK_BYTES = 1 << 20
"""Size of the pieces in which adapters stream."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,15}")


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a store knows of an object without reading it."""

    size_bytes: int


class ObjectStore(Protocol):
    """Raises ``ArtifactNotFound`` for absent keys and ``StoreUnavailable`` when down.

    A key becomes visible only when its object is complete. Keys are relative POSIX paths of
    ``[A-Za-z0-9._/-]``, every part beginning with a letter or digit; other keys raise ``Defect``.
    No key is a prefix folder of another.
    """

    def put(self, key: str, body: bytes, media_type: str) -> None:
        """Store ``body``, replacing nothing visible until it is complete."""

    def get(self, key: str) -> bytes:
        """The whole object."""

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Chunks of bytes ``start`` (inclusive) to ``end`` (exclusive).

        Errors of opening are raised by the call, errors of reading by the iterator. Bytes past
        the end of the object are left out; a range that lies wholly there is empty.
        """

    def stat(self, key: str) -> ObjectStat | None:
        """Size of the object, or None when it does not exist."""

    def delete(self, key: str) -> None:
        """Remove the object; absent keys are no error."""

    def presigned_get_url(
        self, key: str, *, file_name: str, media_type: str, expires_seconds: int
    ) -> str | None:
        """A URL a client may read for a while, or None where the store has no public side."""

    def check(self) -> None:
        """Raise ``StoreUnavailable`` unless the store answers."""


def checked_key(key: str) -> str:
    """``key`` itself; raises ``Defect`` when it is none, so that no key leaves its store."""
    if not _KEY.fullmatch(key):
        raise Defect(f"{key[:80]!r} is not the key of an object.")
    return key
