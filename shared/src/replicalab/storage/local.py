"""Objects as files in a folder of this machine."""

import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from replicalab.errors import ArtifactNotFound
from replicalab.storage.local_files import (
    modified_at,
    read_pieces,
    sync_folder,
    unavailable_on_failure,
    write_whole,
)
from replicalab.storage.local_parts import LocalPartStore
from replicalab.storage.objects import (
    CHUNK_BYTES,
    ExactReader,
    ObjectStat,
    StoredObject,
    checked_key,
)

_TEMPORARY = ".incomplete"
"""Folder of files still being written; no key can begin with a dot."""
_PARTS = ".parts"
"""Folder of objects that arrive in parts."""


class LocalObjectStore:
    """An object store in ``folder``, which is made if absent, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._temporary = self._folder / _TEMPORARY
        with unavailable_on_failure(self._folder):
            # With parents=True the mode would hold for the last folder only.
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._temporary.mkdir(mode=0o700, exist_ok=True)
        self.incoming = LocalPartStore(self._folder / _PARTS, self._write)

    def put(self, key: str, body: bytes, media_type: str) -> None:  # noqa: ARG002 (kept in SQL)
        """Write beside, sync, rename: the key shows either nothing or the whole object."""
        self._write(key, (body,))

    def put_file(
        self,
        key: str,
        file: BinaryIO,
        size_bytes: int,
        media_type: str,  # noqa: ARG002 (kept in SQL)
    ) -> None:
        """The same, piece by piece."""
        exact = ExactReader(file, size_bytes)
        self._write(key, iter(lambda: exact.read(CHUNK_BYTES), b""))

    def _write(self, key: str, pieces: Iterable[bytes]) -> None:
        path = self._path(key)
        with unavailable_on_failure(path):
            self._make_folder(path.parent)
            write_whole(path, pieces, self._temporary)

    def get(self, key: str) -> bytes:
        """The whole file."""
        with self._opened(key) as file, file:
            return file.read()

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Chunks of the file; it is closed at the end of the range or with the iterator."""
        if end is not None and end <= start:
            return iter(())
        with self._opened(key) as file:
            file.seek(start)
        return read_pieces(file, None if end is None else end - start)

    def stat(self, key: str) -> ObjectStat | None:
        """Size of the file, or None when it does not exist."""
        path = self._path(key)
        with unavailable_on_failure(path):
            try:
                return ObjectStat(path.stat().st_size)
            except FileNotFoundError:
                return None

    def copy(self, source: str, target: str, media_type: str) -> None:  # noqa: ARG002
        """Read and write, piece by piece."""
        self._write(target, self.stream(source))

    def delete(self, key: str) -> None:
        """Remove the file; its folders stay."""
        path = self._path(key)
        with unavailable_on_failure(path):
            path.unlink(missing_ok=True)

    def listing(self, folder: str) -> Iterator[StoredObject]:
        """Every file below the folder."""
        root = self._path(folder)
        with unavailable_on_failure(root):
            for path in sorted(root.rglob("*")):
                try:
                    status = path.lstat()
                except FileNotFoundError:  # removed meanwhile
                    continue
                if stat.S_ISREG(status.st_mode):
                    key = path.relative_to(self._folder).as_posix()
                    yield StoredObject(key, status.st_size, modified_at(status))

    def abort_uploads(self, before: datetime) -> int:
        """Remove files that somebody who is gone has left in the middle of being written."""
        removed = 0
        with unavailable_on_failure(self._temporary):
            for path in self._temporary.iterdir():
                try:
                    if modified_at(path.lstat()) < before:
                        path.unlink()
                        removed += 1
                except FileNotFoundError:  # finished meanwhile
                    continue
        return removed + self.incoming.abort_before(before)

    def presigned_get_url(
        self,
        key: str,  # noqa: ARG002
        *,
        file_name: str,  # noqa: ARG002
        media_type: str,  # noqa: ARG002
        expires_seconds: int,  # noqa: ARG002
    ) -> str | None:
        """None: a folder has no public side, the gateway streams."""
        return None

    def check(self) -> None:
        """Raise ``StoreUnavailable`` unless a file can be written here."""
        with unavailable_on_failure(self._folder), tempfile.TemporaryFile(dir=self._temporary):
            pass

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        path = self._path(key)
        with unavailable_on_failure(path):
            try:
                file = path.open("rb")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                raise ArtifactNotFound(f"The store holds no object {key}.") from error
            yield file

    def _make_folder(self, folder: Path) -> None:
        if folder == self._folder or folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
