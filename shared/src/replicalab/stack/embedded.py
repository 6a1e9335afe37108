"""Everything on one machine, from wheels: what ``replicalab up`` and ``replicalab demo`` start."""

import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from replicalab.db.database import Database
from replicalab.db.migrate import upgrade
from replicalab.db.roles import ServiceRole, login_url, prepare_logins
from replicalab.errors import InvalidRequest, ServiceUnreachable
from replicalab.stack.ports import LOOPBACK, PortClaim, free_port, is_free
from replicalab.stack.postgres import EmbeddedPostgres
from replicalab.stack.processes import MARK_VARIABLE, kill_marked
from replicalab.stack.services import (
    BROKER_URL,
    DATABASE_URL,
    GATEWAY,
    service_environment,
    services_of_this_machine,
)
from replicalab.stack.state import DataFolder, StackState
from replicalab.stack.supervisor import OnMessage, Supervisor
from replicalab.stack.valkey import EmbeddedValkey

USUAL_PORT = 8000
READY_SECONDS = 60.0
CHECK_SECONDS = 0.5


class EmbeddedStack:
    """PostgreSQL, Valkey, a folder of artifacts and the four services, as one context manager.

    A stack that already runs on the same data folder is used instead of a second one; it is then
    not this object's to stop.

    Attributes:
        url: Where the gateway answers, once started.
        token: What it lets in.
        is_owner: Whether this object runs the stack.
    """

    def __init__(self, data: Path, port: int | None = None) -> None:
        self._data = DataFolder(data)
        self._port = port
        self._on_message: OnMessage = lambda _: None
        self._usual_port = PortClaim(USUAL_PORT)
        self._mark = secrets.token_hex(8)
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self.url = ""
        self.token = ""

    @property
    def is_owner(self) -> bool:
        return self._thread is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, on_message: OnMessage | None = None) -> None:
        """Start everything, or find the stack that runs here; returns when ``/readyz`` agrees.

        Args:
            on_message: Called with a line for people whenever something happens, also later and
                from another thread.

        Raises:
            ServiceUnreachable: A part did not start; everything is stopped again.
            InvalidRequest: The data folder cannot hold a stack.
        """
        self._on_message = on_message or self._on_message
        self._data.create()
        self.token = self._data.token()
        if not self._data.acquire():
            self._join_running_stack()
            return
        _exit_on_sigterm()
        # Its processes die with the thread that made them, so one thread makes them all, stays,
        # and is not a daemon: the interpreter waits until it has stopped everything.
        self._thread = threading.Thread(target=self._run, name="stack")
        self._thread.start()
        try:
            while not self._ready.wait(CHECK_SECONDS) and not self._ended.is_set():
                continue
        except BaseException:
            self.stop()
            raise
        self._raise_failure()

    def wait(self) -> None:
        """Block while the stack runs; raises ``ServiceUnreachable`` when a part is given up."""
        if self._thread is not None:
            self._ended.wait()
        self._raise_failure()

    def stop(self) -> None:
        """Stop services, then servers; a stack of another process is left alone."""
        self._stopping.set()
        if self._thread is not None:
            # Not join(): interrupted by a signal, it takes a living thread for a dead one.
            self._ended.wait()

    def _tell(self, line: str) -> None:
        try:
            self._on_message(line)
        except OSError:  # the terminal is gone; nobody listens, and stopping must go on
            self._on_message = lambda _: None

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        servers, services = Supervisor(self._tell), Supervisor(self._tell)
        try:
            self._launch(servers, services)
            self._ready.set()
            while not self._stopping.wait(CHECK_SECONDS):
                servers.check()
                services.check()
        except _Stopped:
            pass
        except Exception as error:  # noqa: BLE001 (raised again by the thread that waits for us)
            self._failure = error
        finally:
            try:
                self._halt(servers, services)
            finally:
                self._ended.set()

    def _halt(self, servers: Supervisor, services: Supervisor) -> None:
        self._tell("stopping")
        services.stop()
        servers.stop()
        kill_marked(self._mark)
        self._data.forget_state()
        self._data.release()
        self._usual_port.release()

    def _launch(self, servers: Supervisor, services: Supervisor) -> None:
        self._clear_leftovers()
        port = self._choose_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self._write_state(is_ready=False)
        database_url = os.environ.get(DATABASE_URL) or self._start_postgres(servers)
        broker_url = os.environ.get(BROKER_URL) or self._start_valkey(servers)
        urls = _migrate(database_url)
        environment = service_environment(
            self._data,
            mark=self._mark,
            port=port,
            database_url=database_url,
            broker_url=broker_url,
        )
        for service in services_of_this_machine():
            variables = {**environment, DATABASE_URL: urls[service.role]}
            program = service.program(variables, self._data.new_log(service.name))
            is_ready = self._is_gateway_ready if service.name == GATEWAY else _is_started
            services.start(program, self._unless_stopped(is_ready), timeout_seconds=READY_SECONDS)
            self._tell(f"{service.name} started")
        self._write_state(is_ready=True)
        self._tell(f"ready at {self.url}")

    def _choose_port(self) -> int:
        if self._port is None:
            is_ours = self._usual_port.acquire() and is_free(USUAL_PORT)
            return USUAL_PORT if is_ours else free_port()
        if not is_free(self._port):
            raise InvalidRequest(f"Another program uses port {self._port}; choose another one.")
        return self._port

    def _start_postgres(self, servers: Supervisor) -> str:
        server = EmbeddedPostgres(self._data.path / "postgres", self._data.new_log("postgres"))
        server.end_leftover()
        server.prepare()
        program = server.program({**os.environ, MARK_VARIABLE: self._mark})
        servers.start(program, self._unless_stopped(server.is_ready))
        server.create_database()
        self._tell("PostgreSQL started")
        return server.url()

    def _start_valkey(self, servers: Supervisor) -> str:
        server = EmbeddedValkey(self._data.path / "valkey", self._data.new_log("valkey"))
        server.prepare()
        program = server.program({**os.environ, MARK_VARIABLE: self._mark})
        servers.start(program, self._unless_stopped(server.is_ready))
        self._tell("Valkey started")
        return server.url()

    def _clear_leftovers(self) -> None:
        """End what a stack that was killed has left behind in this data folder."""
        state = self._data.read_state()
        if state is not None:
            for pid in kill_marked(state.mark):
                self._tell(f"ended process {pid}, left behind by an earlier stack")

    def _join_running_stack(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            state = self._data.read_state()
            if state is not None and state.is_ready:
                self.url = state.url
                self._tell(f"using the stack of process {state.pid} at {state.url}")
                return
            time.sleep(CHECK_SECONDS)
        raise ServiceUnreachable(
            f"Another process runs a stack in {self._data.path} and does not get ready; stop it, "
            "or choose another data folder."
        )

    def _write_state(self, *, is_ready: bool) -> None:
        self._data.write_state(StackState(os.getpid(), self._mark, self.url, is_ready))

    def _unless_stopped(self, is_ready: Callable[[], bool]) -> Callable[[], bool]:
        def check() -> bool:
            if self._stopping.is_set():
                raise _Stopped
            return is_ready()

        return check

    def _is_gateway_ready(self) -> bool:
        # Loopback never goes through a proxy that the environment may name.
        with httpx.Client(base_url=self.url, timeout=5, trust_env=False) as client:
            try:
                if not client.get("/readyz").is_success:
                    return False
                # Another installation on the same port would answer too, but not to our token.
                mine = client.get(
                    "/v1/experiments", headers={"Authorization": f"Bearer {self.token}"}
                )
            except httpx.TransportError:
                return False
        return mine.is_success


class _Stopped(Exception):
    """Stopping was asked for while something was starting."""


def _is_started() -> bool:
    return True


def _migrate(database_url: str) -> Mapping[ServiceRole, str]:
    """Bring the database to the present schema; returns the URL that each service gets."""
    database = Database(database_url, pool_size=1)
    try:
        database.check()
    finally:
        database.close()
    upgrade(database_url)
    if os.environ.get(DATABASE_URL):  # the user's own server, whose logins are theirs to make
        return dict.fromkeys(ServiceRole, database_url)
    passwords = {role: secrets.token_urlsafe(24) for role in ServiceRole}
    prepare_logins(database_url, passwords)
    return {role: login_url(database_url, role, passwords[role]) for role in ServiceRole}


def _exit_on_sigterm() -> None:
    """Make SIGTERM and a closed terminal unwind the main thread as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup asks to ignore the terminal
            signal.signal(number, lambda received, _: sys.exit(128 + received))
