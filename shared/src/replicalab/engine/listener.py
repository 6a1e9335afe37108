"""Hearing NOTIFY: one connection for a whole process, whoever waits in it."""

import logging
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

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg.OperationalError as error:
                _log.warning("lost the news of %s, trying again: %s", self._channel, error)
                self._stopping.wait(_RECONNECT_SECONDS)

    def stop(self) -> None:
        """Stop listening; the thread ends within a second."""
        self._stopping.set()

    def _listen(self) -> None:
        with psycopg.connect(self._database_url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(f"LISTEN {self._channel}")
            self._on_news()
            while not self._stopping.is_set():
                if list(connection.notifies(timeout=_RECONNECT_SECONDS, stop_after=1)):
                    self._on_news()
