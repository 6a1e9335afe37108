"""Processes are started, stopped and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from replicalab.errors import ServiceUnreachable
from replicalab.stack.processes import Process, kill_marked, marked_pids, wait_until_ready
from tests.integration.stack.conftest import MakeProgram, eventually, is_alive

SLEEP = "import time; time.sleep(60)"
FORK = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(60)
"""
STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""
PARENT = """
import pathlib, signal, sys, time
from replicalab.stack.processes import Process, Program
log = pathlib.Path(sys.argv[1])
process = Process(Program("child", [sys.executable, "-c", "import time; time.sleep(60)"], {}, log))
print(process.pid, flush=True)
time.sleep(60)
"""


def test_a_program_that_behaves_ends_by_the_signal(make_program: MakeProgram) -> None:
    process = Process(make_program(SLEEP))
    assert process.exit_code is None
    process.stop()
    assert process.exit_code == -signal.SIGTERM


def test_a_program_that_ignores_the_signal_is_killed(
    make_program: MakeProgram, tmp_path: Path
) -> None:
    process = Process(make_program(STUBBORN, tmp_path / "up", stop_seconds=0.2))
    assert eventually((tmp_path / "up").exists)
    process.stop()
    assert process.exit_code == -signal.SIGKILL


def test_stopping_ends_the_children_too(make_program: MakeProgram, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    process = Process(make_program(FORK, pid_file))
    assert eventually(lambda: pid_file.exists() and pid_file.read_text() != "")
    child = int(pid_file.read_text())
    process.stop()
    assert eventually(lambda: not is_alive(child))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a dead parent")
def test_a_program_does_not_outlive_its_killed_parent(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    assert eventually(lambda: not is_alive(child))


def test_ctrl_c_at_the_terminal_does_not_reach_programs(make_program: MakeProgram) -> None:
    process = Process(make_program(SLEEP))
    assert os.getpgid(process.pid) != os.getpgid(0)
    process.stop()


def test_marked_processes_are_found_and_killed_and_no_others(make_program: MakeProgram) -> None:
    ours = Process(make_program(SLEEP, mark="ours"))
    other = Process(make_program(SLEEP, mark="ours-not", name="other"))
    assert eventually(lambda: marked_pids("ours") == [ours.pid])
    assert kill_marked("ours") == [ours.pid]
    assert eventually(lambda: ours.exit_code == -signal.SIGKILL)
    assert other.exit_code is None
    other.stop()


def test_a_program_that_dies_while_starting_shows_its_log(make_program: MakeProgram) -> None:
    process = Process(make_program("raise SystemExit('no such weather')"))
    with pytest.raises(ServiceUnreachable, match=r"code 1 while starting(.|\n)*no such weather"):
        wait_until_ready(process, lambda: False, timeout_seconds=10)


def test_a_program_that_never_gets_ready_is_reported(make_program: MakeProgram) -> None:
    process = Process(make_program(SLEEP))
    with pytest.raises(ServiceUnreachable, match=r"not ready after 0\.2 seconds"):
        wait_until_ready(process, lambda: False, timeout_seconds=0.2)
    process.stop()
