"""The object store port: bytes under keys, nothing cleverer than every S3 server offers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from replicalab.errors import Defect, StoreUnavailable
from replicalab.storage.parts import PartStore

CHUNK_BYTES = 1 << 20
"""Size of the pieces in which adapters stream."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,15}")


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a store knows of an object without reading it."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a listing.

    Attributes:
        key: Its key.
        size_bytes: Its size.
        modified_at: When it was written last, by the store's clock, in whole seconds.
    """

    key: str
    size_bytes: int
    modified_at: datetime


class ReadBrokenOff(StoreUnavailable):
    """The store began to give an object and did not end."""


class ObjectStore(Protocol):
    """Raises ``ArtifactNotFound`` for absent keys and ``StoreUnavailable`` when down.

    A key becomes visible only when its object is complete. Keys are relative POSIX paths of
    ``[A-Za-z0-9._/-]``, every part beginning with a letter or digit; other keys raise ``Defect``.
    No key is a prefix folder of another.
    """

    @property
    def incoming(self) -> PartStore:
        """Objects that arrive in parts."""

    def put(self, key: str, body: bytes, media_type: str) -> None:
        """Store ``body``, replacing nothing visible until it is complete."""

    def put_file(self, key: str, file: BinaryIO, size_bytes: int, media_type: str) -> None:
        """As ``put``, from where ``file`` stands, holding only a piece of it in memory.

        Raises:
            EOFError: The file holds fewer than ``size_bytes``; nothing is stored.
        """

    def get(self, key: str) -> bytes:
        """The whole object."""

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Chunks of bytes ``start`` (inclusive) to ``end`` (exclusive).

        Errors of opening are raised by the call, errors of reading by the iterator. Bytes past
        the end of the object are left out; a range that lies wholly there is empty.
        """

    def stat(self, key: str) -> ObjectStat | None:
        """Size of the object, or None when it does not exist."""

    def copy(self, source: str, target: str, media_type: str) -> None:
        """Store the bytes of ``source`` under ``target`` as well, as ``put`` would."""

    def delete(self, key: str) -> None:
        """Remove the object; absent keys are no error."""

    def listing(self, folder: str) -> Iterator[StoredObject]:
        """Every object under the key prefix ``folder``, which ends between two parts of keys."""

    def abort_uploads(self, before: datetime) -> int:
        """Remove what uploads begun before ``before`` have left unfinished; returns how many."""

    def presigned_get_url(
        self, key: str, *, file_name: str, media_type: str, expires_seconds: int
    ) -> str | None:
        """A URL a client may read for a while, or None where the store has no public side."""

    def check(self) -> None:
        """Raise ``StoreUnavailable`` unless the store answers."""


class ExactReader:
    """The next ``size_bytes`` of a file, no more; ``EOFError`` where it has fewer."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._left = size_bytes

    def read(self, size_bytes: int) -> bytes:
        """At most ``size_bytes``; nothing only at the end."""
        piece = self._file.read(min(size_bytes, self._left))
        if not piece and self._left:
            raise EOFError(f"The file ends {self._left} bytes early.")
        self._left -= len(piece)
        return piece


class ChunkReader:
    """A file to read from, made of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = memoryview(b"")

    def read(self, size_bytes: int) -> bytes:
        """At most ``size_bytes``; nothing only at the end."""
        if not self._held:
            self._held = memoryview(next(self._chunks, b""))
        piece, self._held = self._held[:size_bytes], self._held[size_bytes:]
        return bytes(piece)


def checked_key(key: str) -> str:
    """``key`` itself; raises ``Defect`` when it is none, so that no key leaves its store."""
    if not _KEY.fullmatch(key):
        raise Defect(f"{key[:80]!r} is not the key of an object.")
    return key
