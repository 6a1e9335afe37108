"""The scheduler: one leader dispatches and reconciles; others wait to take over."""

import logging
import threading
import time

import psycopg

from replicalab.engine.dispatcher import Dispatcher
from replicalab.engine.journal import QUEUE_CHANNEL
from replicalab.engine.reconciler import Reconciler
from replicalab.errors import Unavailable

_LEADER_LOCK = 7_423_004
_PAUSE_SECONDS = 0.1
"""Least time between two dispatches: many short tasks that end are one occasion to ring, and
workers that have ended one look for the next themselves."""

_log = logging.getLogger(__name__)


class Scheduler:
    """Wakes on NOTIFY, polls as a backup, and outlives every restart of its dependencies."""

    def __init__(
        self,
        database_url: str,
        dispatcher: Dispatcher,
        reconciler: Reconciler,
        *,
        tick_seconds: float,
        reconcile_seconds: float,
    ) -> None:
        self._database_url = database_url
        self._dispatcher = dispatcher
        self._reconciler = reconciler
        self._tick_seconds = tick_seconds
        self._reconcile_seconds = reconcile_seconds
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Make ``run`` return after its current step; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Lead whenever the leader's lock can be had, until stopped."""
        while not self._stopping.is_set():
            try:
                with psycopg.connect(
                    self._database_url, autocommit=True, connect_timeout=5
                ) as connection:
                    self._lead_while_connected(connection)
            except psycopg.OperationalError as error:
                _log.warning("PostgreSQL does not answer, trying again: %s", error)
                self._stopping.wait(self._tick_seconds)

    def _lead_while_connected(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        connection.execute(f"LISTEN {QUEUE_CHANNEL}")
        is_leader = False
        reconciled_at = -self._reconcile_seconds
        while not self._stopping.is_set():
            if not is_leader:
                is_leader = _take_lead(connection)
            if is_leader:
                if time.monotonic() - reconciled_at >= self._reconcile_seconds:
                    self._reconcile()
                    reconciled_at = time.monotonic()
                self._dispatch()
            earliest = time.monotonic() + _PAUSE_SECONDS
            for _ in connection.notifies(timeout=self._tick_seconds, stop_after=1):
                self._stopping.wait(max(earliest - time.monotonic(), 0.0))
            list(connection.notifies(timeout=0))  # what came meanwhile

    def _dispatch(self) -> None:
        try:
            self._dispatcher.dispatch()
        except Unavailable as error:
            _log.warning("%s %s", error.title, error.detail)

    def _reconcile(self) -> None:
        try:
            moved = {rule: count for rule, count in self._reconciler.reconcile().items() if count}
        except Unavailable as error:
            _log.warning("%s %s", error.title, error.detail)
        else:
            if moved:
                _log.info("reconciled %s", moved)


def _take_lead(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LEADER_LOCK]).fetchone()
    return row is not None and bool(row[0])
