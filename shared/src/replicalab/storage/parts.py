"""Objects that arrive in parts, sent by whoever holds a URL for each, or by this service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from replicalab.storage.presigning import PresignedPut


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that has arrived.

    Attributes:
        number: From 1.
        size_bytes: Its size.
        tag: By which the store knows these bytes.
    """

    number: int
    size_bytes: int
    tag: str


class PartStore(Protocol):
    """Parts of one object each lie under its key and an id that the store gives.

    Methods raise ``UploadExpired`` where the store knows no such upload (any more), and
    ``StoreUnavailable`` when it is down. Nothing shows under the key before ``finish``.
    """

    @property
    def is_public(self) -> bool:
        """Whether clients reach the store, so that ``presigned_part`` gives them a URL."""

    def begin(self, key: str, media_type: str) -> str:
        """Begin to receive an object; returns the id."""

    def presigned_part(
        self, key: str, upload_id: str, number: int, *, size_bytes: int, md5: bytes
    ) -> PresignedPut | None:
        """How a client may send a part of these bytes to the store for ``PRESIGNED_SECONDS``.

        None where the store is not public: parts go through ``put_part``.
        """

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> None:
        """Store a part; again with the same bytes is no error.

        With others it may replace the first, be refused, or end the upload: servers differ.
        """

    def parts(self, key: str, upload_id: str) -> Sequence[StoredPart]:
        """What has arrived, by number."""

    def finish(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Make ``parts``, in this order, the object; no more can arrive."""

    def abort(self, key: str, upload_id: str) -> None:
        """Remove what has arrived; it is no error if there is nothing."""


PRESIGNED_SECONDS = 900
"""A part takes seconds; a slow line may take minutes."""
