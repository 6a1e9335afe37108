"""What a principal was answered, as a row of a table."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response

DESCRIPTION_CHECKS = {
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
}
"""Those of an answer against the description alone, whatever was asked."""

HEADER = (
    "| principal | operations | with a 2xx | requests | 2xx | 3xx | 4xx | 5xx | undocumented "
    "| failures | slowest, s |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass
class Tally:
    """What came back.

    Attributes:
        operations: Those that were asked for.
        succeeded: Those of them that were answered with a 2xx at least once.
        classes: Answers by the first digit of their status.
        undocumented: Answers with a status, media type, field or body that is not described.
        failures: What was wrong in words, and how often.
        slowest_seconds: Longest time until an answer's head.
    """

    operations: set[str] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    classes: Counter[int] = field(default_factory=Counter)
    undocumented: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0

    def add_answer(self, operation: str | None, answer: Response) -> None:
        """Count an answer; None is asked with a method that is not described."""
        self.classes[answer.status_code // 100] += 1
        if operation is not None:
            self.operations.add(operation)
            if 200 <= answer.status_code < 300:
                self.succeeded.add(operation)
        self.slowest_seconds = max(self.slowest_seconds, answer.elapsed)

    def add_failures(self, operation: str, status: int, failures: Iterable[Failure]) -> None:
        """Count what was wrong with one answer."""
        found = list(failures)
        self.undocumented += any(DESCRIPTION_CHECKS & set(one.checks) for one in found)
        self.failures.update(f"{operation}: {status}: {failure}" for failure in found)

    def row(self, principal: str, described: int) -> str:
        """A line of the table, where ``described`` operations could be asked for."""
        classes = " | ".join(f"{self.classes[digit]:,}" for digit in (2, 3, 4, 5))
        return (
            f"| {principal} | {len(self.operations)} of {described} | {len(self.succeeded)} "
            f"| {self.classes.total():,} | {classes} | {self.undocumented:,} "
            f"| {self.failures.total():,} | {self.slowest_seconds:.1f} |"
        )
