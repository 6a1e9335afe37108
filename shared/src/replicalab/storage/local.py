"""Objects as files in a folder of this machine."""

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from replicalab.errors import ArtifactNotFound, StoreUnavailable
from replicalab.storage.objects import (
    CHUNK_BYTES,
    ExactReader,
    ObjectStat,
    StoredObject,
    checked_key,
)

_TEMPORARY = ".incomplete"
"""Folder of files still being written; no key can begin with a dot."""


class LocalObjectStore:
    """An object store in ``folder``, which is made if absent, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._temporary = self._folder / _TEMPORARY
        with _unavailable_on_failure(self._folder):
            # With parents=True the mode would hold for the last folder only.
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._temporary.mkdir(mode=0o700, exist_ok=True)

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
        with _unavailable_on_failure(path):
            descriptor, name = tempfile.mkstemp(dir=self._temporary)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    for piece in pieces:
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                self._make_folder(path.parent)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

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
        return _chunks(file, None if end is None else end - start)

    def stat(self, key: str) -> ObjectStat | None:
        """Size of the file, or None when it does not exist."""
        path = self._path(key)
        with _unavailable_on_failure(path):
            try:
                return ObjectStat(path.stat().st_size)
            except FileNotFoundError:
                return None

    def delete(self, key: str) -> None:
        """Remove the file; its folders stay."""
        path = self._path(key)
        with _unavailable_on_failure(path):
            path.unlink(missing_ok=True)

    def listing(self, folder: str) -> Iterator[StoredObject]:
        """Every file below the folder."""
        root = self._path(folder)
        with _unavailable_on_failure(root):
            for path in sorted(root.rglob("*")):
                try:
                    status = path.lstat()
                except FileNotFoundError:  # removed meanwhile
                    continue
                if stat.S_ISREG(status.st_mode):
                    key = path.relative_to(self._folder).as_posix()
                    yield StoredObject(key, status.st_size, _whole_seconds(status.st_mtime))

    def abort_uploads(self, before: datetime) -> int:
        """Remove files that somebody who is gone has left in the middle of being written."""
        removed = 0
        with _unavailable_on_failure(self._temporary):
            for path in self._temporary.iterdir():
                try:
                    if _whole_seconds(path.lstat().st_mtime) < before:
                        path.unlink()
                        removed += 1
                except FileNotFoundError:  # finished meanwhile
                    continue
        return removed

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
        with _unavailable_on_failure(self._folder), tempfile.TemporaryFile(dir=self._temporary):
            pass

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        path = self._path(key)
        with _unavailable_on_failure(path):
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
        _sync_folder(folder.parent)


def _chunks(file: BinaryIO, count: int | None) -> Iterator[bytes]:
    with file:
        while count is None or count > 0:
            with _unavailable_on_failure(Path(file.name)):
                chunk = file.read(CHUNK_BYTES if count is None else min(CHUNK_BYTES, count))
            if not chunk:
                return
            if count is not None:
                count -= len(chunk)
            yield chunk


def _whole_seconds(timestamp: float) -> datetime:
    return datetime.fromtimestamp(int(timestamp), UTC)


def _sync_folder(folder: Path) -> None:
    """Make a rename or a new folder in ``folder`` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _unavailable_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreUnavailable(f"The artifact folder at {path} fails: {reason}.") from error
