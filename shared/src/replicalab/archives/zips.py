"""Zip archives from strangers: listed and unpacked piece by piece, nothing of them believed.

Nothing is ever unpacked to a path that an archive names.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, cast

from replicalab.archives.names import check_names, plain_name
from replicalab.file_errors import ArchiveLimits, InvalidDataset, UnsafeArchivePath

SIGNATURE = b"PK"
PIECE_BYTES = 2**20
LOCAL_HEADER_BYTES = 30
ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may ask for.

    Attributes:
        most_entries: Files and folders.
        most_directory_bytes: Of the list of entries, which is held in memory.
        most_unpacked_bytes: Of all that is unpacked, counted while it is.
        most_ratio: Bytes unpacked for one that is stored.
        unsuspicious_bytes: So little may be packed as tightly as it likes.
    """

    most_entries: int
    most_directory_bytes: int
    most_unpacked_bytes: int
    most_ratio: int
    unsuspicious_bytes: int


class _BoundedReads:
    """A file of which nobody reads more at once than the longest directory has.

    ``zipfile`` reads the directory in one piece, as long as the file says that it is.
    """

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        self._file = file
        self._most_bytes = most_bytes

    def read(self, size: int = -1) -> bytes:
        most = self._most_bytes
        piece = self._file.read(size if 0 <= size <= most else most + 1)
        if len(piece) > most:
            raise ArchiveLimits(f"The archive's list of entries is longer than {most:,} bytes.")
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


class Archive:
    """The plain files in a zip archive.

    Args:
        file: The archive; it is read as long as this is used.
        limits: How much of it is read.

    Raises:
        InvalidDataset: It is no zip archive, is broken, encrypted, or packed by rare means.
        ArchiveLimits: It has too many entries, or entries that share bytes.
        UnsafeArchivePath: An entry is no plain file or folder, or its name is not one.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._limits = limits
        bounded = _BoundedReads(file, limits.most_directory_bytes)
        with _refusals_named("The archive"):
            self._zip = zipfile.ZipFile(cast(BinaryIO, bounded))
        entries = self._zip.infolist()
        if len(entries) > limits.most_entries:
            raise ArchiveLimits(
                f"The archive has {len(entries):,} entries; at most {limits.most_entries:,} are "
                "read."
            )
        for entry in entries:
            _check_kind(entry)
        _check_apart(entries, self._zip.start_dir)
        check_names([entry.orig_filename for entry in entries])
        self._files = {plain_name(entry.filename): entry for entry in entries if not entry.is_dir()}
        self._unpacked_bytes = 0

    @property
    def names(self) -> list[str]:
        """Of every plain file, in the order of the archive."""
        return list(self._files)

    def read(self, name: str, most_bytes: int) -> bytes:
        """The whole of a file of at most ``most_bytes``."""
        return b"".join(self.pieces(name, most_bytes))

    def pieces(self, name: str, most_bytes: int) -> Iterator[bytes]:
        """A file piece by piece, counted while it is unpacked.

        Raises:
            ArchiveLimits: It has more than ``most_bytes``, whatever the archive says; or it is
                packed more tightly than allowed; or all files together are too much.
            InvalidDataset: It is broken.
        """
        entry, size_bytes = self._files[name], 0
        with _refusals_named(name), self._zip.open(entry) as member:
            while piece := member.read(PIECE_BYTES):
                size_bytes += len(piece)
                self._unpacked_bytes += len(piece)
                self._check_growth(name, entry, size_bytes, most_bytes)
                yield piece

    def rewind(self) -> None:
        """Count anew: what follows unpacks the same files once more."""
        self._unpacked_bytes = 0

    def _check_growth(
        self, name: str, entry: zipfile.ZipInfo, size_bytes: int, most_bytes: int
    ) -> None:
        limits = self._limits
        if size_bytes > most_bytes:
            raise ArchiveLimits(f"{name} unpacks to more than {most_bytes:,} bytes.")
        allowed = max(entry.compress_size * limits.most_ratio, limits.unsuspicious_bytes)
        if size_bytes > allowed:
            raise ArchiveLimits(
                f"{name} unpacks to more than {limits.most_ratio} times its "
                f"{entry.compress_size:,} bytes."
            )
        if self._unpacked_bytes > limits.most_unpacked_bytes:
            raise ArchiveLimits(
                f"The archive unpacks to more than {limits.most_unpacked_bytes:,} bytes."
            )


def _check_kind(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        what = "a link" if stat.S_ISLNK(mode) else "a device"
        raise UnsafeArchivePath(f"{name!a} is {what}; only plain files and folders are read.")
    if entry.flag_bits & ENCRYPTED:
        raise InvalidDataset(f"{name!a} is encrypted; pack it without a password.")
    if entry.compress_type not in METHODS:
        raise InvalidDataset(
            f"{name!a} is packed by the method {entry.compress_type}; use deflate, or store it."
        )


def _check_apart(entries: list[zipfile.ZipInfo], end: int) -> None:
    """Refuse entries that share bytes: that is how small archives unpack to terabytes."""
    places = sorted(
        (entry.header_offset, LOCAL_HEADER_BYTES + len(entry.orig_filename) + entry.compress_size)
        for entry in entries
    )
    for (place, size), (following, _) in pairwise([*places, (end, 0)]):
        if place < 0 or place + size > following:
            raise ArchiveLimits("Entries of the archive overlap.")


@contextmanager
def _refusals_named(name: str) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        UnicodeDecodeError,
        ValueError,
    ) as error:
        raise InvalidDataset(f"{name} cannot be unpacked: {error}") from error
