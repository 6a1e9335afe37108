"""A whole installation that can be hurt: real servers and services, each restartable in place."""

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import httpx
import redis

from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab
from replicalab.db.database import Database
from replicalab.db.migrate import upgrade
from replicalab.db.roles import ServiceRole, login_url, prepare_logins
from replicalab.settings import S3StoreSettings
from replicalab.stack.ports import LOOPBACK, free_port
from replicalab.stack.postgres import EmbeddedPostgres
from replicalab.stack.processes import Process, Program, wait_until_ready
from replicalab.stack.valkey import EmbeddedValkey
from tests.fixtures.s3 import S3Server, answers, s3_choice, server_program
from tests.fixtures.servers import START_SECONDS, environment

ROOT = Path(__file__).parents[2]
WORKERS = 3
SCHEDULERS = 2

TIMES = {
    "LEASE_SECONDS": "2",
    "BEAT_SECONDS": "0.3",
    "POLL_SECONDS": "1",
    "TICK_SECONDS": "0.3",
    "REDISPATCH_SECONDS": "2",
    "CANCEL_GRACE_SECONDS": "1",
    # Here the nemesis kills, not the task: nothing may end in quarantine.
    "MAX_LOST": "1000",
}


@dataclass
class Part:
    """One server or service, started again where it was."""

    program: Program
    is_ready: Callable[[], bool] = field(default=lambda: True)
    process: Process | None = None

    def start(self) -> None:
        """Start, and return when ready."""
        self.process = Process(self.program)
        wait_until_ready(self.process, self.is_ready, timeout_seconds=START_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send ``number`` to the whole process group."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()

    def quit(self) -> None:
        """End a PostgreSQL server at once, without a checkpoint ("immediate")."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGQUIT)
            deadline = time.monotonic() + START_SECONDS
            while self.process.exit_code is None:
                assert time.monotonic() < deadline, "PostgreSQL does not end"
                time.sleep(0.05)

    def stop(self) -> None:
        """End it in good order."""
        if self.process is not None:
            self.signal(signal.SIGCONT)
            self.process.stop()
            self.process = None


@dataclass
class Cluster:
    """Everything the nemesis can reach."""

    postgres: Part
    valkey: Part
    s3: Part
    gateway: Part
    schedulers: list[Part]
    workers: list[Part]
    database_url: str
    broker_url: str
    store: S3StoreSettings
    gateway_url: str
    token: str

    def lab(self) -> Lab:
        """A client as researchers use it."""
        return Lab(self.gateway_url, self.token, backoff=Backoff(patience_seconds=120))

    def flush_broker(self) -> None:
        """Forget every doorbell."""
        with redis.Redis.from_url(self.broker_url, socket_timeout=5) as client:
            client.flushall()


@contextmanager
def running_cluster(
    folder: Path, gateway_settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Cluster]:
    """A cluster in ``folder``, whose parents every account may enter.

    Args:
        folder: Gets the data of every server, and a log of each part.
        gateway_settings: Environment variables of the gateway, besides those of every service.
    """
    with ExitStack() as stack:

        def start(part: Part) -> Part:
            part.start()
            stack.callback(part.stop)
            return part

        postgres_server = EmbeddedPostgres(folder / "postgres", folder / "postgres.log")
        postgres_server.prepare()
        postgres = start(Part(postgres_server.program(environment()), postgres_server.is_ready))
        postgres_server.create_database()
        upgrade(postgres_server.url())
        passwords = {role: secrets.token_hex(16) for role in ServiceRole}
        prepare_logins(postgres_server.url(), passwords)
        broker = EmbeddedValkey(folder / "valkey", folder / "valkey.log")
        broker.prepare()
        valkey = start(Part(broker.program(environment()), broker.is_ready))
        s3, store = _s3(folder)
        start(s3)
        token, port = secrets.token_hex(16), free_port()
        variables = environment() | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "REPLICALAB_BROKER__URL": broker.url(),
            "REPLICALAB_STORE__KIND": "s3",
            "REPLICALAB_STORE__ENDPOINT": store.endpoint,
            "REPLICALAB_STORE__ACCESS_KEY": store.access_key,
            "REPLICALAB_STORE__SECRET_KEY": store.secret_key.get_secret_value(),
            "REPLICALAB_STORE__TIMEOUT_SECONDS": "5",
            "REPLICALAB_TOKEN": token,
            "REPLICALAB_PEPPER": secrets.token_hex(32),
            "REPLICALAB_PORT": str(port),
            **{f"REPLICALAB_ENGINE__{name}": value for name, value in TIMES.items()},
        }

        def service(name: str, role: ServiceRole, *command: str, **further: str) -> Part:
            url = login_url(postgres_server.url(), role, passwords[role])
            settings = variables | {"REPLICALAB_DATABASE__URL": url, **further}
            log = folder / f"{name}.log"
            return Part(Program(name, [sys.executable, "-m", *command], settings, log))

        gateway = service("gateway", ServiceRole.GATEWAY, "replicalab_api", **gateway_settings)
        gateway_url = f"http://{LOOPBACK}:{port}"
        gateway.is_ready = lambda: _is_up(gateway_url)
        queues = ["worker"] * (WORKERS - 1) + ["metrics"]
        yield Cluster(
            postgres=postgres,
            valkey=valkey,
            s3=s3,
            gateway=start(gateway),
            schedulers=[
                start(service(f"scheduler-{i}", ServiceRole.SCHEDULER, "replicalab_api.scheduler"))
                for i in range(SCHEDULERS)
            ],
            workers=[
                start(service(f"{queue}-{i}", ServiceRole.RUNNER, "tests.chaos.service", queue))
                for i, queue in enumerate(queues)
            ],
            database_url=postgres_server.url(),
            broker_url=broker.url(),
            store=store,
            gateway_url=gateway_url,
            token=token,
        )


def database_of(cluster: Cluster) -> Database:
    """The checker's own view of the truth."""
    return Database(cluster.database_url, pool_size=2)


def _s3(folder: Path) -> tuple[Part, S3StoreSettings]:
    choice = s3_choice()
    assert choice.kind != "endpoint", "the nemesis must be able to stop the S3 server"
    port = free_port()
    server = S3Server(
        choice.kind,
        f"http://{LOOPBACK}:{port}",
        secrets.token_hex(8),
        secrets.token_hex(16),
        folder / "s3",
    )
    (folder / "s3").mkdir()
    store = S3StoreSettings(
        endpoint=server.endpoint, access_key=server.access_key, secret_key=server.secret_key
    )
    program = server_program(choice, server, port, folder / "s3.log")
    return Part(program, lambda: answers(server.endpoint)), store


def _is_up(url: str) -> bool:
    with httpx.Client(trust_env=False, timeout=2) as client:
        try:
            return client.get(f"{url}/readyz").is_success
        except httpx.TransportError:
            return False
