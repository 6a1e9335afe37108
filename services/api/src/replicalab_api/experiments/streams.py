"""Following an experiment: its events, and how it stands, until it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from replicalab.domain.resources import EventRead, ExperimentRead
from replicalab.domain.states import ExperimentState
from replicalab.errors import NotFound, Unauthenticated, Unavailable
from replicalab.refusals import Forbidden
from replicalab_api.experiments.service import ExperimentStore
from replicalab_api.http.conditional import etag_of, is_fresh
from replicalab_api.http.wakeups import Wakeups

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
SILENCE_SECONDS = 15.0
"""Longest time between two looks: news may be lost, and a credential may have ended."""

PAGE_EVENTS = 200
RETRY_MILLISECONDS = 2000
SNAPSHOT = "experiment"


def _is_last(event: EventRead) -> bool:
    return (
        event.kind == "experiment-state" and ExperimentState(str(event.data["state"])).is_terminal
    )


async def follow(
    see: Callable[[], ExperimentStore], wakeups: Wakeups, experiment_id: UUID, after: int
) -> AsyncIterator[bytes]:
    """Everything after event ``after``, and a snapshot whenever progress has moved.

    ``see`` gives what the caller may see at each look: the stream outlives neither a credential
    nor a membership.

    Events carry ids and can be resumed from. Snapshots (``event: experiment``) carry none, since
    only the newest counts. The stream ends with the event that ends the experiment, at the
    server's shutdown, or when the database is away: clients come back. Nothing waits in memory
    but one page of events.
    """

    def look(after: int) -> tuple[ExperimentRead, Sequence[EventRead]]:
        return see().look(experiment_id, after=after, limit=PAGE_EVENTS)

    shown: ExperimentRead | None = None
    yield format_sse_event(retry=RETRY_MILLISECONDS)
    with wakeups.watch(experiment_id) as watch:
        while not wakeups.is_closing:
            try:
                snapshot, events = await run_in_threadpool(look, after)
            except (Unavailable, Unauthenticated, Forbidden, NotFound) as error:
                logger.warning("event stream ends: %s", error.detail)
                return
            frames = _frames(None if snapshot == shown else snapshot, events)
            for frame in frames or [KEEPALIVE_COMMENT]:
                yield frame
            if _is_over(snapshot, events):
                return
            shown, after = snapshot, events[-1].id if events else after
            if len(events) < PAGE_EVENTS:
                await watch.wait(SILENCE_SECONDS, pause_seconds=PAUSE_SECONDS)


def _frames(snapshot: ExperimentRead | None, events: Sequence[EventRead]) -> list[bytes]:
    """What a look gives to say; what happened after the end of the experiment is left out."""
    frames: list[bytes] = []
    if snapshot is not None:
        frames.append(format_sse_event(event=SNAPSHOT, data_str=snapshot.model_dump_json()))
    for event in events:
        data = event.model_dump_json()
        frames.append(format_sse_event(event=event.kind, id=str(event.id), data_str=data))
        if _is_last(event):
            break
    return frames


def _is_over(snapshot: ExperimentRead, events: Sequence[EventRead]) -> bool:
    has_read_all = snapshot.state.is_terminal and len(events) < PAGE_EVENTS
    return has_read_all or any(map(_is_last, events))


async def read_when_settled(
    see: Callable[[], ExperimentStore],
    wakeups: Wakeups,
    experiment_id: UUID,
    *,
    wait_seconds: int,
    known: str | None,
) -> tuple[bytes, str]:
    """The experiment as JSON and its entity tag, at once or after at most ``wait_seconds``.

    Waits for the end of the experiment or, where the client has a copy whose tags are ``known``,
    for anything that the copy does not tell.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + wait_seconds
    with wakeups.watch(experiment_id) as watch:
        while True:
            snapshot = await run_in_threadpool(lambda: see().get(experiment_id))
            body = snapshot.model_dump_json().encode()
            etag = etag_of(body)
            left = deadline - clock()
            is_news = known is not None and not is_fresh(known, etag)
            if is_news or snapshot.state.is_terminal or left <= 0 or wakeups.is_closing:
                return body, etag
            await watch.wait(min(SILENCE_SECONDS, left), pause_seconds=min(PAUSE_SECONDS, left))
