"""How a supervisor keeps time: when to renew, when to give up, when a task stands still."""

import time
from multiprocessing.connection import Connection

from replicalab.engine.child import ProgressReport, Stop
from replicalab.settings import EngineSettings

_STALL_FACTOR = 10.0
"""A task stands still when it is silent so many times longer than it ever was."""


class Lease:
    """The supervisor's own view of its lease and of a stop it has passed on."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._renewed_at = boottime()
        self._tried_at = self._renewed_at
        self._began_at = self._renewed_at
        self._moved_at = self._renewed_at
        self._longest_silence = 0.0
        self._stop_sent_at: float | None = None
        self.progress = ProgressReport(0.0, "")

    def note(self, progress: ProgressReport) -> None:
        """Take a report of the child; only a change counts as progress."""
        if progress != self.progress:
            self._longest_silence = max(self._longest_silence, self.silence_seconds())
            self._moved_at = boottime()
            self.progress = progress

    def silence_seconds(self) -> float:
        """Time since the task last moved."""
        return boottime() - self._moved_at

    def has_stalled(self) -> bool:
        """Whether the task beats but does not move: much longer than it ever took before."""
        patience = max(self._settings.stall_seconds, _STALL_FACTOR * self._longest_silence)
        return self.silence_seconds() > patience

    def seconds(self) -> float:
        """Time since the attempt began."""
        return boottime() - self._began_at

    def is_due(self) -> bool:
        """Whether it is time to renew; says yes once per interval."""
        now = boottime()
        if now - self._tried_at < self._settings.beat_seconds:
            return False
        self._tried_at = now
        return True

    def renew(self) -> None:
        """Note that the database has renewed the lease."""
        self._renewed_at = boottime()

    def has_run_out(self) -> bool:
        """Whether the lease may be over by now: time to stop before anyone is fenced."""
        margin = self._settings.beat_seconds / 2
        return boottime() - self._renewed_at > self._settings.lease_seconds - margin

    def stop(self, pipe: Connection, epoch: int) -> None:
        """Pass a stop on, once."""
        if self._stop_sent_at is None:
            self._stop_sent_at = boottime()
            pipe.send(Stop(epoch))

    def patience_is_over(self) -> bool:
        """Whether a task that was told to stop has had its time."""
        grace = self._settings.cancel_grace_seconds
        return self._stop_sent_at is not None and boottime() - self._stop_sent_at > grace


def boottime() -> float:
    """Seconds that also pass while this process or the whole machine is suspended."""
    return (
        time.clock_gettime(time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic()
    )
