"""Programs as child processes: started in sessions of their own, stopped to the last descendant."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replicalab.errors import ServiceUnreachable

MARK_VARIABLE = "REPLICALAB_STACK_MARK"
"""Environment variable by which every descendant of one stack is known."""

POLL_SECONDS = 0.05
KILL_SECONDS = 5.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    Attributes:
        name: Short name for messages and the log file.
        command: Program and arguments; secrets belong into ``environment`` or files.
        environment: The whole environment of the process.
        log: File to which its output is appended.
        stop_signal: What asks it to end.
        stop_seconds: How long it may take to end before it is killed.
        account: User and group ids to run as, or None for one's own.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    account: tuple[int, int] | None = field(default=None)


class Process:
    """A running program and everything it started in its session.

    On Linux the kernel kills the program when the thread that made this object ends, however it
    ends: make it in a thread that lives as long as the program should.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.started_at = time.monotonic()
        user, group = program.account or (None, None)
        # A session of its own keeps Ctrl-C at the terminal away: the stack stops its processes
        # itself, in order.
        with program.log.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603 (commands come from our own modules)
                list(program.command),
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if _libc else None,
                user=user,
                group=group,
                extra_groups=[] if program.account else None,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while running; negative numbers are signals."""
        return self._popen.poll()

    def ask_to_stop(self) -> None:
        """Send the stop signal to the process itself; it knows its children best."""
        if self.exit_code is None:
            self._popen.send_signal(self.program.stop_signal)

    def stop(self) -> None:
        """Ask, wait, then kill the whole session; returns when the process is gone."""
        self.ask_to_stop()
        try:
            self._popen.wait(self.program.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        kill_group(self.pid)

    def kill(self) -> None:
        """End the session at once."""
        kill_group(self.pid)
        self._popen.wait(KILL_SECONDS)


def _die_with_parent() -> None:
    # Runs after the change of user, which would reset it. Opened before the fork: a child of a
    # process with threads may not load libraries.
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """SIGKILL every process of the session that ``pid`` led."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS denies where only zombies are left
        return


def wait_until_ready(
    process: Process, is_ready: Callable[[], bool], *, timeout_seconds: float
) -> None:
    """Return once ``is_ready``.

    Raises:
        ServiceUnreachable: The process ended, or did not get ready in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not is_ready():
        if process.exit_code is not None:
            raise ServiceUnreachable(
                f"{process.program.name} ended with code {process.exit_code} while starting.\n"
                + log_tail(process.program.log)
            )
        if time.monotonic() > deadline:
            raise ServiceUnreachable(
                f"{process.program.name} was not ready after {timeout_seconds:g} seconds.\n"
                + log_tail(process.program.log)
            )
        time.sleep(POLL_SECONDS)


def log_tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, with its name."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return f"{log}:\n" + "\n".join(text.splitlines()[-lines:])


def marked_pids(mark: str) -> list[int]:
    """Processes whose environment carries ``mark``; empty where there is no /proc."""
    wanted = f"{MARK_VARIABLE}={mark}".encode()
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile, or not ours
            continue
        if wanted in environment and int(folder.name) != os.getpid():
            pids.append(int(folder.name))
    return pids


def kill_marked(mark: str) -> list[int]:
    """SIGKILL what still carries ``mark``; returns whom it met."""
    pids = marked_pids(mark)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return pids
