"""Reading from a file that may claim anything: nothing is taken that is not there."""

from replicalab_worker.weights.snapshots.refusals import truncated

LONGEST_LINE_BYTES = 256


class Cursor:
    """A place in ``source`` that only moves forward.

    Args:
        source: The whole file, or a part of it.
        position: Where to begin.

    Attributes:
        position: Of the next byte.
    """

    def __init__(self, source: memoryview, position: int = 0) -> None:
        self._source = source
        self.position = position

    def take(self, count: int, what: str) -> memoryview:
        """The next ``count`` bytes, not copied; raises ``UnsafeCheckpoint`` where fewer are left.

        Args:
            count: How many.
            what: What they are, for the refusal.
        """
        end = self.position + count
        if end > len(self._source):
            raise truncated(f"{what} of {count} bytes")
        taken = self._source[self.position : end]
        self.position = end
        return taken

    def unsigned(self, count: int, what: str) -> int:
        """The next ``count`` bytes as a little-endian number."""
        return int.from_bytes(self.take(count, what), "little")

    def line(self, what: str) -> str:
        """The text up to the next line feed, which is passed over."""
        ahead = bytes(self._source[self.position : self.position + LONGEST_LINE_BYTES])
        text, found, _ = ahead.partition(b"\n")
        if not found:
            raise truncated(what)
        self.position += len(text) + 1
        return text.decode("ascii", errors="replace")

    def rest(self) -> memoryview:
        """Everything that is left, not copied; the cursor stays."""
        return self._source[self.position :]
