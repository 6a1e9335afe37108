"""Parts of objects as files in a folder of this machine."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from replicalab.file_errors import UploadExpired
from replicalab.storage.local_files import (
    modified_at,
    read_pieces,
    unavailable_on_failure,
    write_whole,
)
from replicalab.storage.parts import StoredPart
from replicalab.storage.presigning import PresignedPut


class LocalPartStore:
    """A folder an upload and a file a part.

    Args:
        folder: Made if absent.
        write: Stores pieces under a key, whole or not at all.
    """

    def __init__(self, folder: Path, write: Callable[[str, Iterable[bytes]], None]) -> None:
        self._folder = folder
        self._write = write
        with unavailable_on_failure(folder):
            folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def is_public(self) -> bool:
        """A folder never is."""
        return False

    def begin(self, key: str, media_type: str) -> str:  # noqa: ARG002 (kept in SQL)
        """Make the folder."""
        upload_id = uuid4()
        path = self._folder / str(upload_id)
        with unavailable_on_failure(path):
            path.mkdir(mode=0o700)
        return str(upload_id)

    def presigned_part(
        self,
        key: str,  # noqa: ARG002
        upload_id: str,  # noqa: ARG002
        number: int,  # noqa: ARG002
        *,
        size_bytes: int,  # noqa: ARG002
        md5: bytes,  # noqa: ARG002
    ) -> PresignedPut | None:
        """None: a folder has no public side, parts go through the gateway."""
        return None

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> None:  # noqa: ARG002
        """Write a file, whole or not at all."""
        folder = self._path(upload_id)
        with unavailable_on_failure(folder):
            try:
                # Beside the parts, so that nothing of it outlives them; no part begins with a dot.
                temporary = folder / ".incomplete"
                temporary.mkdir(mode=0o700, exist_ok=True)
                write_whole(folder / str(number), (body,), temporary)
            except FileNotFoundError as error:
                raise _expired() from error

    def parts(self, key: str, upload_id: str) -> Sequence[StoredPart]:  # noqa: ARG002
        """The files there are."""
        folder = self._path(upload_id)
        with unavailable_on_failure(folder):
            try:
                found = [path for path in folder.iterdir() if path.name.isdigit()]
                stored = [StoredPart(int(path.name), path.stat().st_size, "") for path in found]
            except FileNotFoundError as error:
                raise _expired() from error
        return sorted(stored, key=lambda part: part.number)

    def finish(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Write one file after the other to the object, then remove them."""
        folder = self._path(upload_id)

        def pieces() -> Iterator[bytes]:
            for part in parts:
                yield from read_pieces((folder / str(part.number)).open("rb"))

        if not folder.is_dir():
            raise _expired()
        self._write(key, pieces())
        self.abort(key, upload_id)

    def abort(self, key: str, upload_id: str) -> None:  # noqa: ARG002
        """Remove the folder."""
        folder = self._path(upload_id)
        with unavailable_on_failure(folder), suppress(FileNotFoundError):
            shutil.rmtree(folder)

    def abort_before(self, before: datetime) -> int:
        """Remove folders that nothing has been written to since; returns how many."""
        removed = 0
        with unavailable_on_failure(self._folder):
            for folder in self._folder.iterdir():
                if modified_at(folder.stat()) < before:
                    shutil.rmtree(folder)
                    removed += 1
        return removed

    def _path(self, upload_id: str) -> Path:
        return self._folder / str(UUID(upload_id))  # no other text leads out of the folder


def _expired() -> UploadExpired:
    return UploadExpired("The store has nothing of this upload any more.")
