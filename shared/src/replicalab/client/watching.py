"""Following an experiment over an event stream that may break at any time."""

from collections.abc import Iterator

from replicalab.client.streams import parse_events
from replicalab.client.transport import Transport, is_temporary
from replicalab.domain.resources import EventRead, ExperimentRead
from replicalab.errors import ReplicaLabError

POLL_SECONDS = 1.0
"""Between the end of one stream and the beginning of the next."""

HELD_SECONDS = 30
"""The service holds an answer back for at most so long."""


def _get(transport: Transport, path: str) -> ExperimentRead:
    return ExperimentRead.model_validate_json(transport.send("GET", path).content)


def _stream(transport: Transport, path: str, after: int) -> Iterator[EventRead | ExperimentRead]:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    with transport.stream(f"{path}/events", headers) as response:
        for event in parse_events(response.iter_lines()):
            if event.event == "experiment":
                yield ExperimentRead.model_validate_json(event.data)
            else:
                yield EventRead.model_validate_json(event.data)


def follow_events(transport: Transport, path: str, after: int) -> Iterator[EventRead]:
    """Events of the experiment at ``path`` with ids above ``after``, until it ends."""
    while True:
        has_ended = _get(transport, path).state.is_terminal
        try:
            for event in _stream(transport, path, after):
                if isinstance(event, EventRead):
                    yield event
                    after = event.id
        except ReplicaLabError as error:
            if not is_temporary(error):
                raise
        else:
            if has_ended:
                return
        transport.backoff.sleep(POLL_SECONDS)


def watch(transport: Transport, path: str) -> Iterator[ExperimentRead]:
    """The experiment at ``path`` each time it has moved on, until it has ended."""
    shown: ExperimentRead | None = None
    for now in _snapshots(transport, path):
        if now != shown:
            yield now
        if now.state.is_terminal:
            return
        shown = now


def _snapshots(transport: Transport, path: str) -> Iterator[ExperimentRead]:
    last_id = 0
    while True:
        yield _get(transport, path)
        try:
            for event in _stream(transport, path, last_id):
                if isinstance(event, EventRead):
                    last_id = event.id
                else:
                    yield event
        except ReplicaLabError as error:
            if not is_temporary(error):
                raise
        transport.backoff.sleep(POLL_SECONDS)


def wait_for_end(transport: Transport, path: str, timeout_seconds: float | None) -> ExperimentRead:
    """The experiment at ``path`` once it has ended.

    Raises:
        TimeoutError: It has not ended after ``timeout_seconds``.
    """
    clock = transport.backoff.clock
    deadline = None if timeout_seconds is None else clock() + timeout_seconds
    while True:
        left = HELD_SECONDS if deadline is None else deadline - clock()
        held = max(0, min(HELD_SECONDS, round(left)))
        response = transport.send("GET", path, params={"wait": held}, timeout_seconds=held + 30)
        now = ExperimentRead.model_validate_json(response.content)
        if now.state.is_terminal:
            return now
        if deadline is not None and clock() >= deadline:
            raise TimeoutError(f"The experiment is still {now.state}.")
