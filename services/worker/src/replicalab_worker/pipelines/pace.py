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
