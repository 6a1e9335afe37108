"""News of the database reach whoever waits, whatever happens to the connection."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from replicalab.engine.listener import Listener

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SECONDS = 20
OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN%'
"""


class Heard:
    """Counts calls, and waits for them."""

    def __init__(self) -> None:
        self._calls = threading.Semaphore(0)

    def __call__(self) -> None:
        self._calls.release()

    def once(self) -> None:
        assert self._calls.acquire(timeout=SECONDS)

    def nothing_more(self) -> None:
        assert not self._calls.acquire(blocking=False)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def listener(postgres_url: str, heard: Heard) -> Iterator[Listener]:
    listener = Listener(postgres_url, "news", heard)
    listener.start()
    heard.once()  # it looks once it listens: what came before would be missed
    yield listener
    listener.stop()
    listener.join(SECONDS)
    assert not listener.is_alive()


def notify(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.usefixtures("listener")
def test_every_notification_is_heard_and_nothing_else(postgres_url: str, heard: Heard) -> None:
    for _ in range(3):
        notify(postgres_url, "NOTIFY other", "NOTIFY news")
        heard.once()
    heard.nothing_more()


@pytest.mark.usefixtures("listener")
def test_a_connection_that_was_cut_is_made_again(postgres_url: str, heard: Heard) -> None:
    notify(postgres_url, OTHERS)
    heard.once()
    notify(postgres_url, "NOTIFY news")
    heard.once()


def test_a_listener_without_a_database_stops_too(heard: Heard) -> None:
    listener = Listener("postgresql://127.0.0.1:1/nothing", "news", heard)
    listener.start()
    listener.stop()
    listener.join(SECONDS)
    assert not listener.is_alive()
    heard.nothing_more()
