"""Looks at an experiment: how it stands and what has happened, once for all who watch it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import format_sse_event

from replicalab.domain.resources import EventRead
from replicalab.domain.states import EventKind, ExperimentState
from replicalab.engine.snapshots import Snapshot

PAGE_EVENTS = 200
SHARED_SECONDS = 0.2
"""A look is for those who ask within so long after it began: news wake all watchers at once."""

SNAPSHOT = "experiment"


@dataclass(frozen=True, slots=True)
class Look:
    """What a stream has to say from one place.

    Attributes:
        found: How the experiment stands.
        snapshot: The same as a server-sent event, without an id.
        events: What has happened since, as server-sent events with ids, up to the experiment's
            end: what comes after that is left out.
        last_id: Of the newest event; None where there is none.
        is_full: There may be more events.
        is_over: Nothing will happen any more.
    """

    found: Snapshot
    snapshot: bytes
    events: Sequence[bytes]
    last_id: int | None
    is_full: bool
    is_over: bool

    @classmethod
    def of(cls, found: Snapshot, events: Sequence[EventRead]) -> "Look":
        """The look that has found this."""
        end = next((number for number, one in enumerate(events, 1) if _is_end(one)), None)
        is_full = len(events) >= PAGE_EVENTS
        shown = found.experiment
        return cls(
            found=found,
            snapshot=format_sse_event(event=SNAPSHOT, data_str=shown.model_dump_json()),
            events=[
                format_sse_event(
                    event=event.kind, id=str(event.id), data_str=event.model_dump_json()
                )
                for event in events[:end]
            ],
            last_id=events[-1].id if events else None,
            is_full=is_full,
            is_over=end is not None or (shown.state.is_terminal and not is_full),
        )


def _is_end(event: EventRead) -> bool:
    """Whether the experiment has ended with it."""
    return (
        event.kind == EventKind.EXPERIMENT_STATE
        and ExperimentState(str(event.data["state"])).is_terminal
    )


class History(Protocol):
    """Knows every experiment, whoever may see it."""

    def look(
        self, experiment_id: UUID, *, after: int, limit: int
    ) -> tuple[Snapshot, Sequence[EventRead]]:
        """How it stands, then what has happened since the event ``after``.

        Raises:
            ExperimentNotFound: There is no such experiment.
            DatabaseUnavailable: It cannot be said now.
        """


class Looks:
    """Looks that everybody who watches from the same place shares; for code in the event loop.

    They say nothing about who may see what they have found. A look is forgotten soon after it
    ends, so that no more of them are in memory than there are watchers.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._begun: dict[tuple[UUID, int], tuple[float, asyncio.Task[Look]]] = {}

    async def at(self, experiment_id: UUID, after: int, *, since: float) -> Look:
        """A look from the event ``after`` on; raises what ``History`` raises.

        Args:
            experiment_id: Of what.
            after: Id of the last event that the watcher knows.
            since: When the watcher was last told of news, by the loop's clock: a look that began
                before then may have missed them.
        """
        loop, place = asyncio.get_running_loop(), (experiment_id, after)
        begun = self._begun.get(place)
        if begun is not None and begun[0] > max(since, loop.time() - SHARED_SECONDS):
            look = begun[1]
        else:
            look = loop.create_task(self._look(experiment_id, after))
            self._begun[place] = loop.time(), look
            look.add_done_callback(partial(self._forget_soon, place))
        # One who leaves does not take the look from the others.
        return await asyncio.shield(look)

    async def _look(self, experiment_id: UUID, after: int) -> Look:
        def look() -> Look:
            return Look.of(*self._history.look(experiment_id, after=after, limit=PAGE_EVENTS))

        return await run_in_threadpool(look)

    def _forget_soon(self, place: tuple[UUID, int], look: asyncio.Task[Look]) -> None:
        if not look.cancelled():
            look.exception()  # whoever waited has got it; nobody waiting is no error
        look.get_loop().call_later(SHARED_SECONDS, self._forget, place, look)

    def _forget(self, place: tuple[UUID, int], look: asyncio.Task[Look]) -> None:
        if place in self._begun and self._begun[place][1] is look:
            del self._begun[place]
