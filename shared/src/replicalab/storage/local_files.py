"""Files on this machine's disk: written whole or not at all, read in pieces."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from replicalab.errors import StoreUnavailable
from replicalab.storage.objects import CHUNK_BYTES


def write_whole(path: Path, pieces: Iterable[bytes], temporary: Path) -> None:
    """Write beside, sync, rename: ``path`` shows either what was there or the whole of it.

    Args:
        path: In a folder that is there.
        pieces: What to write.
        temporary: A folder on the same disk.
    """
    descriptor, name = tempfile.mkstemp(dir=temporary)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_pieces(file: BinaryIO, count: int | None = None) -> Iterator[bytes]:
    """The next ``count`` bytes of ``file``, or all of them; it is closed at the end."""
    with file:
        while count is None or count > 0:
            with unavailable_on_failure(Path(file.name)):
                chunk = file.read(CHUNK_BYTES if count is None else min(CHUNK_BYTES, count))
            if not chunk:
                return
            if count is not None:
                count -= len(chunk)
            yield chunk


def modified_at(status: os.stat_result) -> datetime:
    """When a file was last written, or a folder's list changed; whole seconds, as S3 tells."""
    return datetime.fromtimestamp(int(status.st_mtime), UTC)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new folder in ``folder`` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def unavailable_on_failure(path: Path) -> Iterator[None]:
    """Raise ``StoreUnavailable`` for what the operating system refuses."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreUnavailable(f"The artifact folder at {path} fails: {reason}.") from error
