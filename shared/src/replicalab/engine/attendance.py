"""What a worker process does beside its tasks: show that it is there, and hear that it must end."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime

from replicalab.engine.supervisor import Supervisor
from replicalab.engine.workers import Node, Workers
from replicalab.errors import DatabaseUnavailable

_log = logging.getLogger(__name__)


class Watch(threading.Thread):
    """Does something again and again, until it says that this process must end.

    A defect of it ends the process as well: without a watch it would hear of nothing any more.
    Whatever runs the process starts it again.
    """

    def __init__(self, name: str, may_go_on: Callable[[], bool], *, poll_seconds: float) -> None:
        super().__init__(name=name, daemon=True)
        self._may_go_on = may_go_on
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopping.wait(self._poll_seconds):
                if not self._may_go_on():
                    return
        finally:
            if not self._stopping.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

    def stop(self) -> None:
        """Stop, and let the process go on."""
        self._stopping.set()


class Attendance:
    """What the register of workers says of this node, asked again and again."""

    def __init__(self, workers: Workers, node: Node, *, poll_seconds: float) -> None:
        self.node = node
        self._workers = workers
        self._poll_seconds = poll_seconds
        self._since: datetime | None = None

    def is_in_service(self) -> bool:
        """Show that this node is there; a database that is away changes nothing."""
        try:
            return self._workers.see(self.node)
        except DatabaseUnavailable as error:
            _log.warning("cannot report to the register: %s", error.detail)
            return True

    def may_stay(self, supervisor: Supervisor) -> bool:
        """Whether this process goes on; one taken out of service ends its present task first."""
        return not self.was_restored() and (self.is_in_service() or supervisor.is_busy)

    def was_restored(self) -> bool:
        """Whether a backup has taken the database's place since this was asked first.

        What this process runs belongs to a past that is gone.
        """
        try:
            since = self._workers.since()
        except DatabaseUnavailable:
            return False
        if self._since is None:
            self._since = since
        if self._since != since:
            _log.error("a backup of the database was restored: this process ends")
        return self._since != since

    def wait_for_service(self) -> None:
        """Return once this node may take tasks."""
        self.was_restored()  # remembers what this process begins with
        is_told = False
        while not self.is_in_service():
            if not is_told:
                _log.error(
                    "%s is out of service until a maintainer resumes it; where the installation "
                    "asks for a later protocol than %d, until this program is updated",
                    self.node.name,
                    self.node.protocol,
                )
                is_told = True
            time.sleep(self._poll_seconds)
