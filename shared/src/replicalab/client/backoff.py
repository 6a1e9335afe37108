"""How long to wait before asking again."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full-jitter exponential waiting (Brooker 2015), bounded per wait and in total.

    Attributes:
        first_seconds: Upper bound of the first wait; doubles with every further one.
        most_seconds: Upper bound of any wait.
        patience_seconds: After so long without success the error is the caller's.
        sleep: Waits; tests pass one that does not.
        clock: Monotonic seconds.
    """

    first_seconds: float = 0.25
    most_seconds: float = 5.0
    patience_seconds: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def begin(self) -> "Waiting":
        """Start counting."""
        return Waiting(self)


class Waiting:
    """The waits of one request."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        # Spreading clients out in time needs no secret randomness.
        self._random = random.Random()  # noqa: S311
        self.reset()

    def reset(self) -> None:
        """Something worked: patience is new."""
        self.attempts = 0
        self._deadline = self._backoff.clock() + self._backoff.patience_seconds

    @property
    def seconds_left(self) -> float:
        """Until patience ends."""
        return self._deadline - self._backoff.clock()

    def wait(self, at_least_seconds: float = 0.0) -> bool:
        """Wait before the next attempt; False, at once, when patience would end before it."""
        bound = min(self._backoff.first_seconds * 2**self.attempts, self._backoff.most_seconds)
        seconds = max(at_least_seconds, self._random.uniform(0, bound))
        if self._backoff.clock() + seconds > self._deadline:
            return False
        self.attempts += 1
        self._backoff.sleep(seconds)
        return True
