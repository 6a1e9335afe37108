"""Byte ranges, RFC 9110 section 14."""

import re
from dataclasses import dataclass

from replicalab.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``start`` (inclusive) to ``end`` (exclusive) of ``size_bytes``."""

    start: int
    end: int
    size_bytes: int

    @property
    def content_range(self) -> str:
        """The ``Content-Range`` of a partial answer."""
        return f"bytes {self.start}-{self.end - 1}/{self.size_bytes}"


def parse_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """The one range asked for, or None where the whole must be sent.

    Several ranges and malformed headers are ignored, as the RFC allows and asks.

    Raises:
        RangeNotSatisfiable: The range holds no byte of the ``size_bytes`` there are.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, end = max(size_bytes - int(match[2]), 0), size_bytes
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size_bytes) if match[2] else size_bytes
        if match[2] and int(match[2]) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiable(f"The artifact has {size_bytes} bytes.", size_bytes=size_bytes)
    return ByteRange(start, end, size_bytes)
