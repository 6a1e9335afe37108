"""How a file is cut into the parts in which it is sent."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

PART_BYTES = 8 * 2**20
"""Of every part but the last, unless so many would be too many."""
MOST_PARTS = 10_000
"""Of one object (Amazon S3, "Multipart upload limits")."""
MEBIBYTE = 2**20


def part_bytes_of(size_bytes: int, part_bytes: int = PART_BYTES) -> int:
    """Size of the parts of a file: ``part_bytes``, or the whole MiB above that are enough."""
    least = math.ceil(size_bytes / MOST_PARTS)
    return max(part_bytes, math.ceil(least / MEBIBYTE) * MEBIBYTE)


class Part(Protocol):
    """Whatever is known of a part besides."""

    @property
    def number(self) -> int:
        """From 1."""

    @property
    def size_bytes(self) -> int:
        """Its size."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A file in parts, numbered from 1; all but the last have ``part_bytes``."""

    size_bytes: int
    part_bytes: int

    @property
    def numbers(self) -> range:
        """Of all parts."""
        return range(1, math.ceil(self.size_bytes / self.part_bytes) + 1)

    def offset_of(self, number: int) -> int:
        """Where a part begins in the file."""
        return (number - 1) * self.part_bytes

    def size_of(self, number: int) -> int:
        """Bytes of a part."""
        return min(self.part_bytes, self.size_bytes - self.offset_of(number))

    def has(self, part: Part) -> bool:
        """Whether ``part`` is one of these."""
        return part.number in self.numbers and part.size_bytes == self.size_of(part.number)

    def missing(self, parts: Iterable[Part]) -> list[int]:
        """Numbers of what is not among ``parts``, or there in another size."""
        there = {part.number for part in parts if self.has(part)}
        return [number for number in self.numbers if number not in there]
