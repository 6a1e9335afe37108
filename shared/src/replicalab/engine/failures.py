"""Why attempts end without success, and what follows: one class, one policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

from replicalab.errors import (
    ArtifactCorrupt,
    ArtifactNotFound,
    InvalidRequest,
    OutOfMemory,
    Unavailable,
)


@unique
class FailureClass(StrEnum):
    """The families of failure, stored with the attempt and shown to the user."""

    LOST = "lost"
    DEPENDENCY = "dependency"
    RESOURCE = "resource"
    INPUT = "input"
    NUMERIC = "numeric"
    STALLED = "stalled"
    TIMEOUT = "timeout"
    BUG = "bug"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a class may fail, and how long the next attempt waits.

    Attributes:
        retries: Further attempts after the first failure.
        delay_seconds: Wait before the first retry; doubles each time.
        longest_delay_seconds: Upper bound of the wait.
    """

    retries: int
    delay_seconds: float = 0.0
    longest_delay_seconds: float = 300.0

    def delay_before(self, failure: int) -> float:
        """Seconds to wait after the ``failure``-th failure (from 1)."""
        return min(self.delay_seconds * 2.0 ** (failure - 1), self.longest_delay_seconds)


POLICIES: Mapping[FailureClass, RetryPolicy] = {
    FailureClass.DEPENDENCY: RetryPolicy(retries=15, delay_seconds=2.0),
    FailureClass.RESOURCE: RetryPolicy(retries=2, delay_seconds=5.0),
    FailureClass.INPUT: RetryPolicy(retries=0),
    FailureClass.NUMERIC: RetryPolicy(retries=0),
    FailureClass.STALLED: RetryPolicy(retries=1, delay_seconds=1.0),
    FailureClass.TIMEOUT: RetryPolicy(retries=1, delay_seconds=1.0),
    FailureClass.BUG: RetryPolicy(retries=1, delay_seconds=1.0),
}
"""LOST is not here: lost workers have their own budget and end in quarantine. Nor is OUTDATED: such
work has never begun."""

ELSEWHERE = frozenset({FailureClass.BUG, FailureClass.RESOURCE})
"""What may be the fault of the worker: the next attempt goes to another one, if there is one."""


def classify(error: Exception) -> FailureClass:
    """The class of an error raised inside a handler."""
    match error:
        case ArtifactCorrupt() | ArtifactNotFound() | InvalidRequest():
            return FailureClass.INPUT
        case OutOfMemory() | MemoryError():
            return FailureClass.RESOURCE
        case Unavailable() | ConnectionError() | TimeoutError():
            return FailureClass.DEPENDENCY
        case FloatingPointError():
            return FailureClass.NUMERIC
        case OSError():
            return FailureClass.RESOURCE
        case _ if type(error).__name__ == "OutOfMemoryError":
            return FailureClass.RESOURCE
        case _:
            return FailureClass.BUG
