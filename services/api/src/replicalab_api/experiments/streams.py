"""Following an experiment: its events, and how it stands, until it ends."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent

from replicalab.domain.resources import EventRead, ExperimentRead
from replicalab.domain.states import ExperimentState
from replicalab_api.experiments.service import ExperimentStore
from replicalab_api.http.conditional import etag_of, is_fresh
from replicalab_api.http.wakeups import Wakeups

POLL_SECONDS = 1.0
PAUSE_SECONDS = 0.2
PAGE_EVENTS = 200
RETRY_MILLISECONDS = 2000
SNAPSHOT = "experiment"


def _is_last(event: EventRead) -> bool:
    return (
        event.kind == "experiment-state" and ExperimentState(str(event.data["state"])).is_terminal
    )


async def follow(
    experiments: ExperimentStore, wakeups: Wakeups, experiment_id: UUID, after: int
) -> AsyncIterator[ServerSentEvent]:
    """Everything after event ``after``, and a snapshot whenever progress has moved.

    Events carry ids and can be resumed from. Snapshots (``event: experiment``) carry none, since
    only the newest counts. The stream ends with the event that ends the experiment, or at the
    server's shutdown; nothing waits in memory but one page of events.
    """
    shown: ExperimentRead | None = None
    yield ServerSentEvent(retry=RETRY_MILLISECONDS)
    while not wakeups.is_closing:
        snapshot = await run_in_threadpool(experiments.get, experiment_id)
        read_events = partial(experiments.events, experiment_id, after=after, limit=PAGE_EVENTS)
        events = await run_in_threadpool(read_events)
        if snapshot != shown:
            shown = snapshot
            yield ServerSentEvent(event=SNAPSHOT, data=snapshot)
        for event in events:
            yield ServerSentEvent(event=event.kind, id=str(event.id), data=event)
            after = event.id
            if _is_last(event):
                return
        if len(events) == PAGE_EVENTS:
            continue
        if snapshot.state.is_terminal:
            return
        await wakeups.wait(POLL_SECONDS)
        # A burst of news is one look.
        await asyncio.sleep(PAUSE_SECONDS)


async def read_when_settled(
    experiments: ExperimentStore,
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
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while True:
        snapshot = await run_in_threadpool(experiments.get, experiment_id)
        body = snapshot.model_dump_json().encode()
        etag = etag_of(body)
        left = deadline - asyncio.get_running_loop().time()
        is_news = known is not None and not is_fresh(known, etag)
        if is_news or snapshot.state.is_terminal or left <= 0 or wakeups.is_closing:
            return body, etag
        await wakeups.wait(min(POLL_SECONDS, left))
        await asyncio.sleep(min(PAUSE_SECONDS, max(left, 0)))
