"""Files on their way to the service: read piece by piece, with their description where it is apart.

A safetensors file begins with the length of its header (eight bytes) and the header (JSON), whose
metadata are the place for the description.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicalab.errors import InvalidRequest

PIECE_BYTES = 2**20
LENGTH_BYTES = 8
MAX_HEADER_BYTES = 16 * 2**20
METADATA = "__metadata__"
DESCRIPTION = "generator"
"""Where the service looks for the description, within the metadata."""

Report = Callable[[int, int], None]
"""Called with bytes sent and bytes in all."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What is sent: ``head``, then the file from ``offset`` on."""

    path: Path
    head: bytes
    offset: int

    @property
    def size_bytes(self) -> int:
        """Of the whole body."""
        return len(self.head) + self.path.stat().st_size - self.offset

    def sha256(self) -> str:
        """Of the whole body."""
        digest = hashlib.sha256()
        for piece in self.pieces(lambda _sent, _total: None):
            digest.update(piece)
        return digest.hexdigest()

    def part(self, start: int, size_bytes: int) -> bytes:
        """So many bytes of the body from ``start`` on."""
        head = self.head[start : start + size_bytes]
        with self.path.open("rb") as file:
            file.seek(self.offset + max(0, start - len(self.head)))
            return head + file.read(size_bytes - len(head))

    def pieces(self, report: Report) -> Iterator[bytes]:
        """The body; ``report`` is called before the first piece and after each that was taken."""
        total, sent = self.size_bytes, 0
        report(sent, total)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            piece = self.head or file.read(PIECE_BYTES)
            while piece:
                yield piece
                sent += len(piece)
                report(sent, total)
                piece = file.read(PIECE_BYTES)


def upload_of(path: Path, description: Path | None) -> Upload:
    """The upload of a generator's file.

    Args:
        path: A snapshot, or a safetensors file.
        description: The ``generator.json`` of a safetensors file; where left out, the one beside
            it (same name, ending ``.json``) is taken if there is one.

    Raises:
        InvalidRequest: There is no such file, or the description is of other weights.
    """
    upload = plain_upload(path)
    if description is None and path.suffix == ".safetensors":
        beside = path.with_suffix(".json")
        description = beside if beside.is_file() else None
    return upload if description is None else _described(path, description)


def plain_upload(path: Path) -> Upload:
    """The upload of a file as it is; raises ``InvalidRequest`` where there is none."""
    if not path.is_file():
        raise InvalidRequest(f"There is no file {path}.")
    return Upload(path, b"", 0)


def _described(path: Path, description: Path) -> Upload:
    """The weights with their description in the header."""
    text = description.read_text(encoding="utf-8")
    _check_pair(path, text, description)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        header = file.read(min(length, MAX_HEADER_BYTES))
    content = _parsed(header, path)
    content[METADATA] = {**content.get(METADATA, {}), DESCRIPTION: text}
    body = json.dumps(content, separators=(",", ":")).encode()
    body += b" " * (-len(body) % LENGTH_BYTES)
    head = len(body).to_bytes(LENGTH_BYTES, "little") + body
    return Upload(path, head, LENGTH_BYTES + length)


def _check_pair(path: Path, text: str, description: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    expected = _parsed(text.encode(), description).get("weights_sha256")
    if found != expected:
        raise InvalidRequest(
            f"{description} describes weights with the digest {expected}; {path} has {found}."
        )


def _parsed(body: bytes, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} is not what its name says: {error}.") from error
    if not isinstance(content, dict):
        raise InvalidRequest(f"{path} holds no JSON object where one is expected.")
    return content
