"""Small programs that behave and misbehave like services."""

import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from replicalab.stack.processes import MARK_VARIABLE, Program

MakeProgram = Callable[..., Program]


@pytest.fixture
def make_program(tmp_path: Path) -> MakeProgram:
    """Programs from a few lines of Python; ``arguments`` reach them as ``sys.argv[1:]``."""

    def make(
        source: str,
        *arguments: object,
        name: str = "standin",
        stop_seconds: float = 5,
        mark: str = "",
    ) -> Program:
        return Program(
            name,
            [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
            {"PATH": os.environ["PATH"], MARK_VARIABLE: mark},
            tmp_path / f"{name}.log",
            stop_signal=signal.SIGTERM,
            stop_seconds=stop_seconds,
        )

    return make


def eventually(condition: Callable[[], bool], timeout_seconds: float = 10) -> bool:
    """Whether ``condition`` comes true in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    """Whether ``pid`` runs, zombies not counted."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
