"""Following an experiment: its events, and how it stands, until it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from replicalab.domain.states import EventKind
from replicalab.engine.snapshots import Snapshot
from replicalab.errors import NotFound, Unauthenticated, Unavailable
from replicalab.refusals import Forbidden
from replicalab_api.experiments.looks import SNAPSHOT, Looks
from replicalab_api.experiments.service import ExperimentStore
from replicalab_api.http.conditional import etag_of, is_fresh
from replicalab_api.http.wakeups import Wakeups

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
SILENCE_SECONDS = 15.0
"""Longest time between two looks: news may be lost, and a credential may have ended."""

RETRY_MILLISECONDS = 2000
MEDIA_TYPE = "text/event-stream"
EVENT: Mapping[str, Any] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": [SNAPSHOT, *(kind.value for kind in EventKind)]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "retry": {"type": "integer", "minimum": 0},
    },
}
"""What each event of a stream is, once its lines are read: an ``itemSchema``, which OpenAPI 3.2
has for media types that are sequences (section "Complete vs Streaming Content"), and which
FastAPI writes into descriptions of version 3.1 as well."""


async def follow(
    see: Callable[[], ExperimentStore],
    looks: Looks,
    wakeups: Wakeups,
    experiment_id: UUID,
    after: int,
) -> AsyncIterator[bytes]:
    """Everything after event ``after``, and a snapshot whenever progress has moved.

    ``see`` gives what the caller may see at each look: the stream outlives neither a credential
    nor a membership. What there is to see is read once for all who watch from the same event.

    Events carry ids and can be resumed from. Snapshots (``event: experiment``) carry none, since
    only the newest counts. The stream ends with the event that ends the experiment, at the
    server's shutdown, or when the database is away: clients come back. Nothing waits in memory
    but one page of events.
    """

    def admit(found: Snapshot) -> None:
        see().check(found)

    shown = b""
    yield format_sse_event(retry=RETRY_MILLISECONDS)
    with wakeups.watch(experiment_id) as watch:
        while not wakeups.is_closing:
            try:
                look = await looks.at(experiment_id, after, since=watch.told_at)
                await run_in_threadpool(admit, look.found)
            except (Unavailable, Unauthenticated, Forbidden, NotFound) as error:
                logger.warning("event stream ends: %s", error.detail)
                return
            frames = [*([look.snapshot] if look.snapshot != shown else []), *look.events]
            for frame in frames or [KEEPALIVE_COMMENT]:
                yield frame
            if look.is_over:
                return
            shown, after = look.snapshot, after if look.last_id is None else look.last_id
            if not look.is_full:
                await watch.wait(SILENCE_SECONDS, pause_seconds=PAUSE_SECONDS)


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
