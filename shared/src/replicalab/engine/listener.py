"""Hearing NOTIFY: one connection for a whole process, whoever waits in it."""

import logging
import selectors
import socket
import threading
from collections.abc import Callable

import psycopg

_log = logging.getLogger(__name__)
_RECONNECT_SECONDS = 1.0


class Listener(threading.Thread):
    """Calls ``on_news`` when the channel is notified, and after every reconnection.

    Notifications that came while it was at work are one call. News may be missed while the
    connection is down; whoever waits must also look by itself now and then.
    """

    def __init__(self, database_url: str, channel: str, on_news: Callable[[], None]) -> None:
        super().__init__(name=f"listener-{channel}", daemon=True)
        self._database_url = database_url
        self._channel = channel
        self._on_news = on_news
        self._stopping = threading.Event()
        self._waker, self._woken = socket.socketpair()

    def run(self) -> None:
        with self._woken:
            while not self._stopping.is_set():
                try:
                    self._listen()
                except psycopg.OperationalError as error:
                    _log.warning("lost the news of %s, trying again: %s", self._channel, error)
                    self._stopping.wait(_RECONNECT_SECONDS)

    def stop(self) -> None:
        """Stop listening; the thread ends at once, unless it is connecting."""
        self._stopping.set()
        self._waker.close()  # wakes the thread

    def _listen(self) -> None:
        with (
            psycopg.connect(self._database_url, autocommit=True, connect_timeout=5) as connection,
            selectors.DefaultSelector() as either,
        ):
            either.register(connection.fileno(), selectors.EVENT_READ)
            either.register(self._woken, selectors.EVENT_READ)
            connection.execute(f"LISTEN {self._channel}")
            self._on_news()
            while not self._stopping.is_set():
                either.select()
                if list(connection.notifies(timeout=0)):
                    self._on_news()
