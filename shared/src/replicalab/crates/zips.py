"""Zip archives written while they are sent: at any time one piece of one file is in memory."""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

_PLAIN_FILE = 0o100644 << 16
_UNIX = 3
_PACKED_WELL = ("text/", "application/json", "image/svg+xml")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file to be archived.

    Attributes:
        path: Where it lies.
        size_bytes: How many bytes ``pieces`` have together.
        media_type: Text is deflated; anything else is stored as it is, for it is packed already.
        pieces: What it holds; read once, when its turn comes.
    """

    path: str
    size_bytes: int
    media_type: str
    pieces: Iterable[bytes]


class _Outbox:
    """What has been written and not sent yet. It has no ``tell``: nothing is written over."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, piece: bytes) -> int:
        self._held += piece
        return len(piece)

    def flush(self) -> None:
        """Nothing to do: whoever sends takes all there is."""

    def close(self) -> None:
        """Nothing to do."""

    def taken(self) -> bytes:
        """Everything written since the last call."""
        piece = bytes(self._held)
        self._held.clear()
        return piece


def zipped(entries: Iterable[Entry], at: datetime) -> Iterator[bytes]:
    """The archive of ``entries``, piece by piece.

    What an entry's pieces raise is raised here, and the archive then lacks the directory at its
    end: it cannot be opened.

    Args:
        entries: In the order of the archive.
        at: The time of every file, to two seconds.
    """
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w") as archive:
        for entry in entries:
            with archive.open(_info_of(entry, at), "w") as member:
                for piece in entry.pieces:
                    member.write(piece)
                    if sent := outbox.taken():
                        yield sent
            yield outbox.taken()
    yield outbox.taken()


def _info_of(entry: Entry, at: datetime) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(entry.path, at.timetuple()[:6])
    is_text = entry.media_type.startswith(_PACKED_WELL)
    info.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
    info.external_attr = _PLAIN_FILE
    info.create_system = _UNIX
    info.file_size = entry.size_bytes  # tells zipfile whether it needs fields of 64 bits
    return info
