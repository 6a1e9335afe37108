"""Arrays inside an npz, without pickles and without trust in what their headers claim."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from replicalab.archives.zips import Archive
from replicalab.file_errors import ArchiveLimits, InvalidDataset

MOST_HEADER_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class NpyMember:
    """An array in an archive; its values have not been read.

    Attributes:
        name: Of the array.
        shape: As the header claims.
        dtype: A plain one.
    """

    archive: Archive
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def size_bytes(self) -> int:
        """Of the values, as the header claims."""
        return math.prod(self.shape) * self.dtype.itemsize

    def values(self, most_bytes: int) -> npt.NDArray[np.generic]:
        """The whole array, if it claims at most ``most_bytes``."""
        self.check_size(most_bytes)
        body = b"".join(self.pieces())
        if not body:
            raise InvalidDataset(f"{self.name} is empty.")
        return np.frombuffer(body, dtype=self.dtype).reshape(self.shape)

    def texts(self, most_bytes: int) -> tuple[str, ...]:
        """The texts of a list, decoded by Python: numpy takes any number for a character."""
        if self.dtype.kind != "U" or len(self.shape) != 1:
            raise InvalidDataset(
                f"{self.name} must be a list of texts, not {self.dtype} of {self.shape}."
            )
        body = self.values(most_bytes).tobytes()
        encoding = "utf-32-be" if self.dtype.byteorder == ">" else "utf-32-le"
        size = self.dtype.itemsize
        try:
            return tuple(
                body[place : place + size].decode(encoding).rstrip("\0")
                for place in range(0, len(body), size)
            )
        except UnicodeDecodeError as error:
            raise InvalidDataset(f"{self.name} holds what is no text: {error}") from error

    def check_size(self, most_bytes: int) -> None:
        """Raise ``ArchiveLimits`` where the values claim more than ``most_bytes``."""
        if self.size_bytes > most_bytes:
            raise ArchiveLimits(
                f"{self.name} claims {self.size_bytes:,} bytes (shape {self.shape}, {self.dtype}); "
                f"at most {most_bytes:,} are read."
            )

    def pieces(self) -> Iterator[bytes]:
        """The values' bytes; raises ``InvalidDataset`` unless there are as many as claimed."""
        stream = _Stream(
            self.archive.pieces(f"{self.name}.npy", self.size_bytes + MOST_HEADER_BYTES)
        )
        _header(stream, self.name)
        found = 0
        for piece in stream.rest():
            found += len(piece)
            yield piece
        if found != self.size_bytes:
            raise InvalidDataset(
                f"{self.name} claims the shape {self.shape} of {self.dtype}, which are "
                f"{self.size_bytes:,} bytes, and holds {found:,}."
            )


def npy_member(archive: Archive, name: str) -> NpyMember:
    """The array ``name`` of an archive, from its header.

    Raises:
        InvalidDataset: It is no array of plain numbers or texts, or lies in another order.
    """
    stream = _Stream(archive.pieces(f"{name}.npy", 2**62))
    shape, is_fortran, dtype = _header(stream, name)
    stream.close()
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None:
        raise InvalidDataset(
            f"{name} holds Python objects or records, which are never read; save an array of plain "
            "numbers."
        )
    if min(shape, default=0) < 0:
        raise InvalidDataset(f"{name} claims the shape {shape}.")
    if is_fortran and len(shape) > 1:
        raise InvalidDataset(
            f"{name} lies in column-major order; save numpy.ascontiguousarray({name})."
        )
    return NpyMember(archive, name, shape, dtype)


class _Stream:
    """Pieces as a file of which a little is read, and then the rest as pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, size: int) -> bytes:
        while len(self._held) < size and (piece := next(self._pieces, b"")):
            self._held += piece
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def rest(self) -> Iterator[bytes]:
        if self._held:
            yield self._held
        yield from self._pieces

    def close(self) -> None:
        self._pieces.close()  # type: ignore[attr-defined]


def _header(stream: _Stream, name: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    file = cast(BinaryIO, stream)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file, max_header_size=MOST_HEADER_BYTES)
        if version == (2, 0):
            return np.lib.format.read_array_header_2_0(file, max_header_size=MOST_HEADER_BYTES)
    except (ValueError, SyntaxError, TypeError, RecursionError) as error:
        raise InvalidDataset(f"{name} is not an array in numpy's format: {error}") from error
    raise InvalidDataset(f"{name} is in version {version} of numpy's format; 1.0 and 2.0 are read.")
