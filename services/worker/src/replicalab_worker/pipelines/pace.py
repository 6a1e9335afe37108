"""When to speak: progress often enough to stop a task soon, rarely enough to cost nothing."""

import time

INTERVAL_SECONDS = 0.5


class Pace:
    """Says yes once per interval."""

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._next = time.monotonic()

    def is_due(self) -> bool:
        """Whether an interval has passed since the last yes."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._interval_seconds
        return True


class CheckpointPace:
    """Says yes rarely enough that what it says yes to costs little.

    Args:
        interval_seconds: Least time between two.
    """

    SHARE = 0.02

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self._next = time.monotonic() + interval_seconds

    def is_due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() >= self._next

    def took(self, seconds: float) -> None:
        """Say what the last one cost: the next waits until that is 2 % of the time."""
        self._next = time.monotonic() + max(self._interval_seconds, seconds / self.SHARE)
