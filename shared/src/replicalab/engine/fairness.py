"""Whose task runs next: pure decisions, from what every user has used of late."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

HALF_LIFE_SECONDS = 24 * 3600.0
"""Compute used a day ago weighs half as much as compute used now."""


@dataclass(frozen=True, order=True, slots=True)
class Lane:
    """Waiting tasks of one owner in one priority class (0 goes first)."""

    priority: int
    owner: str


def fair_turns(
    lanes: Iterable[Lane], usage_seconds: Mapping[str, float], task_seconds: float
) -> Iterator[Lane]:
    """Endless turns: the highest class first, in it whoever has used least, counting the turns.

    Args:
        lanes: Lanes with waiting tasks; at least one.
        usage_seconds: Decayed compute of every owner, tasks under way included.
        task_seconds: What a turn is expected to cost (> 0).

    Yields:
        The lane whose oldest task goes next. Take as many as there is room for, and start again
        without a lane once it is empty.
    """
    first = sorted(lanes)
    urgent = [lane for lane in first if lane.priority == first[0].priority]
    used = {lane.owner: usage_seconds.get(lane.owner, 0.0) for lane in urgent}
    while True:
        lane = min(urgent, key=lambda candidate: (used[candidate.owner], candidate.owner))
        used[lane.owner] += task_seconds
        yield lane
