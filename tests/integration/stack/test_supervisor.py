"""Supervision of real processes: deaths, pauses, patience and the end."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicalab.errors import ServiceUnreachable
from replicalab.stack.supervisor import RestartPolicy, Supervisor
from tests.integration.stack.conftest import MakeProgram, eventually, is_alive

COUNT = """
import os, pathlib, sys, time
with pathlib.Path(sys.argv[1]).open("a") as file:
    print(os.getpid(), file=file)
time.sleep(60)
"""
SPAWN_AND_DIE = """
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
"""
POLICY = RestartPolicy(
    first_delay_seconds=0.05, longest_delay_seconds=0.2, most_deaths=3, long_life_seconds=60
)


@pytest.fixture
def messages() -> list[str]:
    """What the supervisor said."""
    return []


@pytest.fixture
def supervisor(messages: list[str]) -> Iterator[Supervisor]:
    """An impatient supervisor."""
    supervisor = Supervisor(messages.append, POLICY)
    yield supervisor
    supervisor.stop()


def pids(file: Path) -> list[int]:
    """Process ids of every life so far."""
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def lives(supervisor: Supervisor, file: Path, count: int) -> bool:
    """Whether the program has ``count`` lives soon, given a supervisor that checks."""

    def reached() -> bool:
        supervisor.check()
        return len(pids(file)) == count

    return eventually(reached)


def test_a_killed_program_starts_again(
    supervisor: Supervisor, messages: list[str], make_program: MakeProgram, tmp_path: Path
) -> None:
    file = tmp_path / "pids"
    supervisor.start(make_program(COUNT, file), lambda: len(pids(file)) == 1)
    os.kill(pids(file)[0], signal.SIGKILL)
    assert lives(supervisor, file, 2)
    assert is_alive(pids(file)[1])
    assert len(messages) == 1
    assert "standin ended with code -9; it starts again in 0.05 s (1 of 3)" in messages[0]


def test_a_program_that_dies_too_often_is_given_up(
    supervisor: Supervisor, messages: list[str], make_program: MakeProgram
) -> None:
    supervisor.start(make_program("print('why not'); raise SystemExit(7)"), lambda: True)

    def is_over() -> bool:
        supervisor.check()
        return False

    with pytest.raises(ServiceUnreachable, match=r"code 7 for the 4th time(.|\n)*why not"):
        eventually(is_over)
    assert len(messages) == 3
    assert "0.05 s" in messages[0]
    assert "0.1 s" in messages[1]
    assert "0.2 s" in messages[2]


def test_a_long_life_clears_the_record(
    messages: list[str], make_program: MakeProgram, tmp_path: Path
) -> None:
    file = tmp_path / "pids"
    supervisor = Supervisor(
        messages.append, RestartPolicy(first_delay_seconds=0, most_deaths=1, long_life_seconds=0)
    )
    supervisor.start(make_program(COUNT, file), lambda: len(pids(file)) == 1)
    for life in (1, 2, 3):
        os.kill(pids(file)[-1], signal.SIGKILL)
        assert lives(supervisor, file, life + 1)
    supervisor.stop()


def test_children_of_a_dead_program_do_not_meet_its_successor(
    supervisor: Supervisor, messages: list[str], make_program: MakeProgram, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    supervisor.start(make_program(SPAWN_AND_DIE, pid_file), pid_file.exists)
    assert eventually(lambda: pid_file.read_text() != "")
    child = int(pid_file.read_text())

    def is_restarting() -> bool:
        supervisor.check()
        return bool(messages)

    assert eventually(is_restarting)
    assert eventually(lambda: not is_alive(child))


def test_stopping_ends_every_program_and_restarts_none(
    supervisor: Supervisor, make_program: MakeProgram, tmp_path: Path
) -> None:
    files = [tmp_path / "first", tmp_path / "second"]
    for file in files:
        supervisor.start(make_program(COUNT, file, name=file.name), file.exists)
    assert eventually(lambda: all(pids(file) for file in files))
    supervisor.stop()
    supervisor.check()
    assert not any(is_alive(pids(file)[0]) for file in files)
    assert all(len(pids(file)) == 1 for file in files)
