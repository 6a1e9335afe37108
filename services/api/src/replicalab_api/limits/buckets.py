"""Token buckets, kept as one number each: when the bucket is full again (GCRA).

A bucket that is full at ``full_at`` lacks ``full_at - now`` seconds of refilling. Taking ``cost``
moves that moment ``cost * limit.seconds_each`` into the future; what would move it further than a
whole ``burst`` is refused. That is exact to the microsecond, and one number can be changed
atomically wherever it is kept (ITU-T I.371, annex A, as the virtual scheduling algorithm).
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from threading import Lock
from typing import Protocol

from replicalab_api.settings import Limit

ROUNDING_SECONDS = 1e-6
"""Clocks are read to the microsecond: less than one is no reason to refuse."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of taking from a bucket.

    Attributes:
        is_allowed: Whether there was enough; if not, nothing was taken.
        remaining: Whole tokens that are left.
        wait_seconds: Until there will be enough; 0 where there was.
        full_seconds: Until the bucket is full again.
    """

    is_allowed: bool
    remaining: int
    wait_seconds: float
    full_seconds: float


def decision(limit: Limit, *, is_allowed: bool, full_seconds: float, cost: float) -> Decision:
    """The decision that leaves a bucket to be full in ``full_seconds``."""
    room = limit.burst * limit.seconds_each - full_seconds
    return Decision(
        is_allowed=is_allowed,
        remaining=max(0, floor((room + ROUNDING_SECONDS) / limit.seconds_each)),
        wait_seconds=0.0 if is_allowed else cost * limit.seconds_each - room,
        full_seconds=full_seconds,
    )


class Buckets(Protocol):
    """Buckets by name; one that nobody has taken from is full."""

    def take(self, name: str, limit: Limit, cost: float = 1.0) -> Decision:
        """Take ``cost`` tokens, all or nothing; a negative cost gives them back."""

    def fill(self, name: str) -> None:
        """Make a bucket full."""


class LocalBuckets:
    """Buckets of this process alone.

    Args:
        clock: Monotonic seconds.
        most: Buckets beyond so many are forgotten, those used longest ago first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 100_000) -> None:
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def take(self, name: str, limit: Limit, cost: float = 1.0) -> Decision:
        """Take ``cost`` tokens, all or nothing; a negative cost gives them back."""
        with self._lock:
            now = self._clock()
            before = max(self._full_at.get(name, now) - now, 0.0)
            after = max(before + cost * limit.seconds_each, 0.0)
            is_allowed = after <= limit.burst * limit.seconds_each + ROUNDING_SECONDS
            full_seconds = after if is_allowed else before
            self._full_at[name] = now + full_seconds
            self._full_at.move_to_end(name)
            if len(self._full_at) > self._most:
                self._full_at.popitem(last=False)
        return decision(limit, is_allowed=is_allowed, full_seconds=full_seconds, cost=cost)

    def fill(self, name: str) -> None:
        """Make a bucket full."""
        with self._lock:
            self._full_at.pop(name, None)
