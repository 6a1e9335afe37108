"""What the worker and the metrics service are made of: a Celery consumer around a supervisor."""

import logging
import os
import platform
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from celery import Celery
from celery.signals import worker_shutting_down

from replicalab.db.database import Database
from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.tasks import Queue
from replicalab.engine.attendance import Attendance, Watch
from replicalab.engine.checkpoints import CheckpointSweeper
from replicalab.engine.doorbells import answer, celery_app
from replicalab.engine.handlers import Handlers
from replicalab.engine.supervisor import ChildProcess, Supervisor
from replicalab.engine.task_store import TaskStore
from replicalab.engine.versions import KindVersions
from replicalab.engine.workers import Node, Workers
from replicalab.errors import DatabaseUnavailable
from replicalab.processors import usable_processors
from replicalab.settings import ServiceSettings
from replicalab.storage.factory import open_store
from replicalab.telemetry import configure_logging

_log = logging.getLogger(__name__)
_RESTART_SECONDS = 1.0
_MOST_REFUSALS = 5


def run_service(
    queue: Queue,
    load_handlers: Callable[[], Handlers],
    settings: ServiceSettings,
    kinds: KindVersions = KIND_VERSIONS,
) -> None:
    """Answer doorbells of ``queue`` until SIGTERM; look for work alone while no doorbell rings.

    Args:
        queue: The queue this service serves.
        load_handlers: Module-level function, called in the spawned child, that gives its handlers.
        settings: Where the database, the broker and the store are.
        kinds: The versions of kinds that the handlers make.
    """
    configure_logging(settings.log_level)
    database = Database(settings.database.url.get_secret_value(), pool_size=4, plans_once=True)
    engine = settings.engine
    store = TaskStore(
        database, lease_seconds=engine.lease_seconds, max_lost=engine.max_lost, kinds=kinds
    )
    poll_seconds = engine.poll_seconds
    node = this_node(queue, settings.node or socket.gethostname(), kinds)
    attendance = Attendance(Workers(database), node, poll_seconds=poll_seconds)
    attendance.wait_for_service()
    worker = f"{node.name}:{os.getpid()}"
    supervisor = Supervisor(
        store,
        lambda: ChildProcess(load_handlers, settings.store, settings.log_level),
        engine,
        worker,
    )
    worker_shutting_down.connect(lambda **_: supervisor.stop(), weak=False)
    app = celery_app(settings.broker.url.get_secret_value())
    shift = Shift(store, supervisor, queue)
    answer(app, shift.begin)
    threads = (
        # Two of them: a look may end only with the last task that waits.
        Watch("attendance", partial(attendance.may_stay, supervisor), poll_seconds=poll_seconds),
        Watch("poller", shift.look, poll_seconds=poll_seconds),
        CheckpointSweeper(database, lambda: open_store(settings.store)),
    )
    for thread in threads:
        thread.start()
    try:
        _consume(app, supervisor, _arguments(queue, worker, settings.log_level))
    finally:
        for thread in threads:
            thread.stop()
        supervisor.close()
        database.close()


def _consume(app: Celery, supervisor: Supervisor, arguments: list[str]) -> None:
    """Run Celery's consumer until this process is told to stop.

    The consumer ends itself at a message that is not even JSON. That message is gone by then, so
    the consumer starts again.
    """
    while not supervisor.is_stopping:
        try:
            app.worker_main(arguments)
        except SystemExit as end:
            if not supervisor.is_stopping:
                _log.error("the consumer ended with code %s and starts again", end.code)
                time.sleep(_RESTART_SECONDS)


class Shift:
    """Task after task, for as long as there are any.

    Celery hands a consumer with one place a message a second at most, which short tasks would
    spend waiting. So a doorbell begins a shift, and the worker itself looks what comes next;
    doorbells of tasks that it has taken meanwhile are refused by the claim.
    """

    def __init__(self, store: TaskStore, supervisor: Supervisor, queue: Queue) -> None:
        self._store = store
        self._supervisor = supervisor
        self._queue = queue
        self._on = threading.Lock()

    def begin(self, task_id: int) -> None:
        """Run ``task_id`` if it can be claimed, then whatever waits, until nothing does.

        While another shift is on this waits for its end, so that doorbells stay with the broker,
        for workers that are idle.
        """
        with self._on:
            self._work(task_id)

    def look(self) -> bool:
        """Begin without a doorbell, if something waits and no shift is on.

        A lost broker costs latency, never work.

        Returns:
            True: there may be more to do later.
        """
        if self._on.acquire(blocking=False):
            try:
                task_id = self._next(is_at_work=False)
                if task_id is not None:
                    self._work(task_id)
            finally:
                self._on.release()
        return True

    def _work(self, task_id: int) -> None:
        self._supervisor.run(task_id)
        refusals = 0
        while refusals < _MOST_REFUSALS and not self._supervisor.is_stopping:
            following = self._next(is_at_work=True)
            if following is None:
                return
            # Another worker may have been faster; a worker out of service is always refused.
            refusals = 0 if self._supervisor.run(following) else refusals + 1

    def _next(self, *, is_at_work: bool) -> int | None:
        try:
            return self._store.next_queued(
                self._queue, self._supervisor.worker, is_at_work=is_at_work
            )
        except DatabaseUnavailable as error:
            _log.warning("cannot look for work: %s", error.detail)
            return None


def this_node(queue: Queue, name: str, kinds: KindVersions) -> Node:
    """This process's node: the machine, and the GPU if it was given one of several."""
    cards = os.environ.get("CUDA_VISIBLE_DEVICES")
    place = f"{queue}@{name}" + (f"-gpu{cards}" if cards else "")
    return Node(
        place,
        queue,
        version("replicalab"),
        f"{platform.machine()}, {usable_processors()} processors",
        kinds,
    )


def _arguments(queue: Queue, worker: str, log_level: str) -> list[str]:
    return [
        "--quiet",
        "worker",
        "--pool=threads",
        "--concurrency=1",
        f"--queues={queue}",
        f"--hostname={worker}",
        f"--loglevel={log_level}",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
