"""The event stream: nothing missed, nothing twice, an end."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from httpx import Client

from replicalab.db.database import Database
from replicalab.domain.tasks import Queue
from replicalab_api.experiments.examples import SMALL_STUDY
from replicalab_api.http.wakeups import Wakeups

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def events_of(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            event[name] = value
        elif "data" in event:
            yield event | {"data": json.loads(event["data"])}
            event = {}


def read(client: TestClient, address: str, **headers: str) -> list[dict[str, Any]]:
    with client.stream("GET", f"{address}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(events_of(response.iter_lines()))


@pytest.fixture
def ended(client: TestClient, submitted: str, run_all_tasks: Callable[[], None]) -> str:
    run_all_tasks()
    return submitted


def test_the_stream_ends_with_the_experiment(client: TestClient, ended: str) -> None:
    events = read(client, ended)
    assert events[-1]["event"] == "experiment-state"
    assert events[-1]["data"]["data"]["state"] == "succeeded"
    ids = [int(event["id"]) for event in events if "id" in event]
    assert ids == sorted(set(ids))


def test_the_description_names_every_kind_of_event(client: TestClient, ended: str) -> None:
    operation = client.get("/openapi.json").json()["paths"][
        "/v1/experiments/{experiment_id}/events"
    ]
    described = operation["get"]["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]
    events = read(client, ended)
    assert {event["event"] for event in events} <= set(described["properties"]["event"]["enum"])
    assert all(event.keys() <= described["properties"].keys() for event in events)
    assert all(set(described["required"]) <= event.keys() for event in events)


def test_the_snapshot_has_no_id_and_is_the_whole_experiment(client: TestClient, ended: str) -> None:
    snapshots = [event for event in read(client, ended) if event["event"] == "experiment"]
    assert [event["data"] for event in snapshots] == [client.get(ended).json()]
    assert all("id" not in event for event in snapshots)


def test_a_stream_goes_on_after_the_last_event_id(client: TestClient, ended: str) -> None:
    def durable(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [event for event in events if "id" in event]

    events = durable(read(client, ended))
    for cut in (1, len(events) // 2, len(events) - 1):
        last = events[cut - 1]["id"]
        rest = durable(read(client, ended, **{"Last-Event-ID": last}))
        assert events[:cut] + rest == events


def test_an_ended_stream_has_nothing_more_to_say(client: TestClient, ended: str) -> None:
    last = read(client, ended)[-1]["id"]
    assert [e["event"] for e in read(client, ended, **{"Last-Event-ID": last})] == ["experiment"]


def test_news_come_while_the_stream_is_open(
    client: TestClient, submitted: str, run_one_task: Callable[[Queue], str], wakeups: Wakeups
) -> None:
    def work() -> None:
        time.sleep(0.3)
        run_one_task(Queue.WORKER)
        wakeups.notify()
        time.sleep(0.3)
        client.post(f"{submitted}:cancel")
        wakeups.notify()

    worker = threading.Thread(target=work)
    worker.start()
    events = read(client, submitted)
    worker.join()
    states = [e["data"]["state"] for e in events if e["event"] == "experiment"]
    assert states[0] == "queued"
    assert states[-1] == "cancelled"
    assert events[-1]["data"]["data"]["state"] == "cancelled"


def test_streams_end_when_the_server_does(
    client: TestClient, submitted: str, wakeups: Wakeups
) -> None:
    closing = threading.Timer(0.3, wakeups.close)
    closing.start()
    began = time.monotonic()
    events = read(client, submitted)
    closing.join()
    assert time.monotonic() - began < 5
    assert {event["event"] for event in events} <= {"experiment", "experiment-state", "task-state"}
    assert all(event["data"].get("state") == "queued" for event in events if "id" not in event)


def test_head_of_a_stream_does_not_wait_for_its_end(client: TestClient, submitted: str) -> None:
    assert client.head(f"{submitted}/events").status_code == 200


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """Every statement that is sent to the database, with its parameters."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, sql: str, values: object, *_: object) -> None:
        sent.append(f"{sql} {values}")

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(database.engine, "before_cursor_execute", note)


def test_a_hold_and_a_change_of_priority_are_news(
    client: TestClient, submitted: str, listening: None
) -> None:
    def change() -> None:
        time.sleep(0.3)
        for action in ("hold", "release"):
            assert client.post(f"{submitted}:{action}").status_code == 200
        etag = client.get(submitted).headers["ETag"]
        patch = {"priority": "background"}
        assert client.patch(submitted, json=patch, headers={"If-Match": etag}).status_code == 200
        client.post(f"{submitted}:cancel")

    owner = threading.Thread(target=change)
    owner.start()
    began = time.monotonic()
    events = read(client, submitted)
    owner.join()
    assert time.monotonic() - began < 10, "nobody woke the stream"
    changes = [e["data"]["data"] for e in events if e["event"] == "experiment-change"]
    assert changes == [{"is_held": True}, {"is_held": False}, {"priority": "background"}]


def test_many_who_watch_see_everything_once_and_share_the_looks(
    client: TestClient,
    server: str,
    submitted: str,
    run_all_tasks: Callable[[], None],
    statements: list[str],
) -> None:
    watchers = 20
    with ThreadPoolExecutor(watchers) as pool, Client(base_url=server, timeout=30) as http:
        http.headers = client.headers
        begun = threading.Barrier(watchers + 1)

        def watch() -> list[str]:
            with http.stream("GET", f"{submitted}/events") as response:
                begun.wait(10)
                return [event["id"] for event in events_of(response.iter_lines()) if "id" in event]

        watching = [pool.submit(watch) for _ in range(watchers)]
        begun.wait(10)
        statements.clear()
        run_all_tasks()
        seen = [each.result(30) for each in watching]
    everything = [event["id"] for event in read(client, submitted) if "id" in event]
    assert seen == [everything] * watchers
    looks = [each for each in statements if "FROM events" in each and "LIMIT" in each]
    assert 0 < len(looks) < watchers * len(everything) / 10, "everybody looks for themselves"


def test_streams_cost_nothing_while_others_have_news(
    client: TestClient,
    submitted: str,
    wakeups: Wakeups,
    listening: None,
    statements: list[str],
) -> None:
    watching = threading.Thread(target=read, args=(client, submitted))
    watching.start()
    time.sleep(1.5)
    statements.clear()
    time.sleep(1.5)
    assert not statements, "a stream looks although nothing has happened"
    study = SMALL_STUDY | {"dataset": {"kind": "digits", "split_seed": 99}}
    other = client.post("/v1/experiments", json=study).headers["Location"]
    time.sleep(0.5)
    statements.clear()
    client.post(f"{other}:cancel")
    time.sleep(1)
    number = submitted.rpartition("/")[2]
    assert statements
    assert not [each for each in statements if number in each]
    wakeups.close()
    watching.join()
