"""The whole embedded stack with the real services, as the commands use it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from replicalab.errors import InvalidRequest
from replicalab.stack.embedded import EmbeddedStack
from replicalab.stack.ports import LOOPBACK
from replicalab.stack.processes import marked_pids
from replicalab.stack.state import DataFolder
from tests.fixtures.servers import environment
from tests.integration.stack.conftest import eventually, is_alive

get = partial(httpx.get, trust_env=False, timeout=30)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RUN = """
import pathlib, sys
from replicalab.stack.embedded import EmbeddedStack
with EmbeddedStack(pathlib.Path(sys.argv[1])) as stack:
    stack.start(lambda line: print(line, flush=True))
    stack.wait()
"""


@pytest.fixture(scope="module")
def data(server_folder: Path) -> Path:
    """A data folder that keeps its cluster from test to test."""
    folder = Path(tempfile.mkdtemp(dir=server_folder)) / "data"
    folder.parent.chmod(0o711)
    return folder


@contextmanager
def stack_process(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a stack; its lines are what the stack has to say."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(data)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        yield process
        process.kill()


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read until the stack says ``text``."""
    assert process.stdout is not None
    assert any(text in line for line in process.stdout), f"it never said {text!r}"


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a stack which is ready."""
    with stack_process(data) as process:
        wait_for_line(process, "ready at")
        yield process


def processes_of(data: Path) -> list[int]:
    """Every process of the stack that runs in ``data``."""
    state = DataFolder(data).read_state()
    assert state is not None
    return marked_pids(state.mark)


def test_sigterm_while_starting_stops_everything_in_order(data: Path) -> None:
    with stack_process(data) as process:
        wait_for_line(process, "PostgreSQL started")
        pids = processes_of(data)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert [pid for pid in pids if is_alive(pid)] == []
    assert "database system is shut down" in (data / "logs" / "postgres.log").read_text()


def test_a_second_stack_joins_the_first_and_does_not_stop_it(
    data: Path, running: subprocess.Popen[str]
) -> None:
    with EmbeddedStack(data) as guest:
        guest.start()
        assert not guest.is_owner
        assert get(f"{guest.url}/readyz").is_success
    assert running.poll() is None
    assert get(f"{guest.url}/readyz").is_success


def test_a_killed_service_comes_back(data: Path, running: subprocess.Popen[str]) -> None:
    commands = {
        pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in processes_of(data)
    }
    (gateway,) = [pid for pid, command in commands.items() if b"replicalab_api" in command]
    state = DataFolder(data).read_state()
    assert state is not None
    os.kill(gateway, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return get(f"{state.url}/readyz").is_success
        except httpx.TransportError:
            return False

    assert eventually(lambda: not is_alive(gateway))
    assert eventually(is_back, timeout_seconds=60)


def test_a_killed_stack_leaves_no_process_and_starts_again_and_ends_clean(
    data: Path, running: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    pids = processes_of(data)
    running.kill()
    # A task runner that is still loading torch asks to die with its parent only then.
    assert eventually(lambda: not any(is_alive(pid) for pid in pids), timeout_seconds=60)
    with EmbeddedStack(data) as stack:
        stack.start()
        assert stack.is_owner
        pids = processes_of(data)
        assert len(pids) >= 6
        experiments = f"{stack.url}/v1/experiments"
        assert get(experiments).status_code == 401
        token = {"Authorization": f"Bearer {stack.token}"}
        assert get(experiments, headers=token).status_code == 200
    assert [pid for pid in pids if is_alive(pid)] == []
    assert DataFolder(data).read_state() is None
    with pytest.raises(httpx.ConnectError):
        get(stack.url)


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        stack = EmbeddedStack(tmp_path / "data", port)
        with stack, pytest.raises(InvalidRequest, match=str(port)):
            stack.start()
