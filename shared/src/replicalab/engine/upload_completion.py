"""From parts to a file that is known to be the one declared."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import UUID

from replicalab.db.database import Database
from replicalab.db.uploads import UploadRow
from replicalab.domain.upload_parts import Cut
from replicalab.domain.upload_resources import UploadState
from replicalab.engine import upload_rows
from replicalab.engine.upload_removal import UploadRemoval
from replicalab.errors import ArtifactNotFound
from replicalab.file_errors import UploadExpired, UploadIncomplete, UploadMismatch, UploadNotFound
from replicalab.refusals import TooManyRequests
from replicalab.storage.objects import ObjectStore
from replicalab.storage.parts import StoredPart

_RETRY_SECONDS = 5
_MOST_TOLD = 100


class UploadCompletion:
    """Completes uploads. Each step may be repeated: a request can end between any two."""

    def __init__(self, database: Database, objects: ObjectStore, removal: UploadRemoval) -> None:
        self._database = database
        self._objects = objects
        self._removal = removal
        self._under_way: set[UUID] = set()
        self._lock = threading.Lock()

    def complete(self, row: UploadRow) -> None:
        """Put the parts of an open upload together and verify the whole, piece by piece.

        Raises:
            UploadIncomplete: Parts are missing.
            UploadMismatch: The file has another digest than was declared; nothing of it is kept.
            UploadNotFound: Somebody has given it up meanwhile.
            TooManyRequests: It is being completed.
        """
        with self._alone(row.id):
            self._put_together(row)
            self._verify(row)
            self._note(row)

    def parts(self, row: UploadRow) -> Sequence[StoredPart]:
        """What has arrived; raises ``UploadExpired`` where the store has lost it."""
        if row.state is UploadState.OPEN:
            with suppress(UploadExpired):
                return self._objects.incoming.parts(row.key, row.store_upload_id)
        if not self._is_together(row):
            raise UploadExpired("The store has nothing of this upload any more.")
        cut = Cut(row.size_bytes, row.part_bytes)
        return [StoredPart(number, cut.size_of(number), "") for number in cut.numbers]

    def _is_together(self, row: UploadRow) -> bool:
        """Whether the parts are one object, whoever has put them together."""
        stat = self._objects.stat(row.key)
        return stat is not None and stat.size_bytes == row.size_bytes

    def _put_together(self, row: UploadRow) -> None:
        cut = Cut(row.size_bytes, row.part_bytes)
        try:
            parts = self._objects.incoming.parts(row.key, row.store_upload_id)
            if missing := cut.missing(parts):
                raise UploadIncomplete(
                    f"{len(missing)} of {len(cut.numbers)} parts are missing.",
                    missing=missing[:_MOST_TOLD],
                )
            self._objects.incoming.finish(row.key, row.store_upload_id, parts)
        except UploadExpired:
            if not self._is_together(row):
                raise

    def _verify(self, row: UploadRow) -> None:
        digest = hashlib.sha256()
        try:
            for chunk in self._objects.stream(row.key):
                digest.update(chunk)
        except ArtifactNotFound as error:
            raise _given_up() from error
        if digest.hexdigest() != row.declared_sha256:
            self._removal.end(row)
            raise UploadMismatch(
                f"The file has the digest {digest.hexdigest()}, not {row.declared_sha256}."
            )

    def _note(self, row: UploadRow) -> None:
        with self._database.transaction() as session:
            state = upload_rows.note_completed(session, row.id)
        if state is UploadState.ABORTED:
            self._objects.delete(row.key)  # whoever aborted it may have come before it was there
            raise _given_up()

    @contextmanager
    def _alone(self, upload_id: UUID) -> Iterator[None]:
        """One request at a time reads a file through."""
        with self._lock:
            if upload_id in self._under_way:
                raise TooManyRequests(
                    f"The upload is being completed. Ask again in {_RETRY_SECONDS} s.",
                    retry_after_seconds=_RETRY_SECONDS,
                )
            self._under_way.add(upload_id)
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard(upload_id)


def _given_up() -> UploadNotFound:
    return UploadNotFound("The upload was given up.")
