"""PostgreSQL, Valkey and services of ReplicaLab from the installed wheels, for benchmarks."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.db.migrate import upgrade
from replicalab.stack.postgres import EmbeddedPostgres
from replicalab.stack.processes import Process, Program, wait_until_ready
from replicalab.stack.valkey import EmbeddedValkey

HERE = Path(__file__).parent
READY_SECONDS = 60.0


@dataclass(frozen=True)
class LabServers:
    """Two servers with their default durability, and the environment of services on them."""

    database_url: str
    broker_url: str
    variables: Mapping[str, str]
    _folder: Path
    _stack: ExitStack

    @property
    def sqlalchemy_url(self) -> str:
        """The database, by the driver that is installed."""
        return self.database_url.replace("postgresql://", "postgresql+psycopg://")

    def start(
        self,
        name: str,
        command: Sequence[str],
        is_ready: Callable[[], bool] = lambda: True,
        variables: Mapping[str, str] | None = None,
    ) -> Process:
        """Run ``python`` with ``command`` until the servers stop."""
        environment = {**self.variables, **(variables or {})}
        log = self._folder / f"{name}.log"
        process = Process(Program(name, [sys.executable, *command], environment, log))
        self._stack.callback(process.stop)
        wait_until_ready(process, is_ready, timeout_seconds=READY_SECONDS)
        return process


def tidy(database: Database, tables: str) -> None:
    """Let PostgreSQL know how many rows there are now, and where."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"VACUUM ANALYZE {tables}"))


@contextmanager
def lab_servers() -> Iterator[LabServers]:
    """Both servers in a temporary folder, the schema of ReplicaLab in the database."""
    plain = {name: value for name, value in os.environ.items() if "REPLICALAB" not in name}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="replicalab-benchmark-")))
        folder.chmod(0o711)
        postgres = EmbeddedPostgres(folder / "postgres", folder / "postgres.log")
        valkey = EmbeddedValkey(folder / "valkey", folder / "valkey.log")
        for server in (postgres, valkey):
            server.prepare()
            process = Process(server.program(plain))
            stack.callback(process.stop)
            wait_until_ready(process, server.is_ready, timeout_seconds=READY_SECONDS)
        postgres.create_database()
        upgrade(postgres.url())
        variables = plain | {
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
            "REPLICALAB_DATABASE__URL": postgres.url(),
            "REPLICALAB_BROKER__URL": valkey.url(),
            "REPLICALAB_STORE__KIND": "local",
            "REPLICALAB_STORE__FOLDER": str(folder / "artifacts"),
            "REPLICALAB_PEPPER": secrets.token_hex(32),
        }
        yield LabServers(postgres.url(), valkey.url(), variables, folder, stack)
