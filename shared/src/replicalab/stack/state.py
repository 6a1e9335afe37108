"""The data folder of a stack: its token, its logs, and who runs it now."""

import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from replicalab.errors import InvalidRequest
from replicalab.stack.accounts import is_reachable

ROOT_FOLDER = Path("/var/lib/replicalab")
"""Where root keeps its data when the working directory is private."""


@dataclass(frozen=True, slots=True)
class StackState:
    """What a second process must know of a running stack.

    Attributes:
        pid: The process that supervises it.
        mark: Value of the variable that all its processes carry.
        url: Where its gateway answers.
        is_ready: Whether the gateway answered already.
    """

    pid: int
    mark: str
    url: str
    is_ready: bool


def default_data_folder() -> Path:
    """``./var``; for root only where other accounts can enter it, else ``/var/lib/replicalab``."""
    folder = Path.cwd() / "var"
    return folder if os.geteuid() != 0 or is_reachable(folder) else ROOT_FOLDER


class DataFolder:
    """Paths and small files of one stack; whoever holds the lock runs it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.expanduser().absolute()
        self._lock_descriptor: int | None = None

    def create(self) -> None:
        """Make the folder, closed to others; as root, servers must be able to pass through.

        Raises:
            InvalidRequest: There is something else of that name, or no way to write there.
        """
        try:
            if not self.path.exists():
                self.path.mkdir(parents=True)
                self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(
                f"{self.path} cannot be the data folder: {error.strerror}. Choose another: --data."
            ) from error

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def new_log(self, name: str) -> Path:
        """An empty log; the one of the last start is kept beside it."""
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(self.logs / f"{name}.previous.log")
        return log

    def token(self) -> str:
        """The bootstrap token of this installation, made at the first call."""
        return self._secret("token")

    def pepper(self) -> str:
        """What keys the digests of secrets in the database, made at the first call."""
        return self._secret("pepper")

    def _secret(self, name: str) -> str:
        file = self.path / name
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file.read_text().strip()
        secret = secrets.token_urlsafe(32)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secret)
        return secret

    def acquire(self) -> bool:
        """Become the one who runs this stack; False when another process does."""
        descriptor = os.open(self.path / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock_descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another process run this stack."""
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def read_state(self) -> StackState | None:
        """What the present or last stack wrote, or None."""
        try:
            return StackState(**json.loads(self._state_file.read_text()))
        except FileNotFoundError:
            return None

    def write_state(self, state: StackState) -> None:
        """Replace the state in one step."""
        unfinished = self._state_file.with_suffix(".incomplete")
        unfinished.write_text(json.dumps(asdict(state)))
        unfinished.replace(self._state_file)

    def forget_state(self) -> None:
        """Say that no stack runs here."""
        self._state_file.unlink(missing_ok=True)

    @property
    def _state_file(self) -> Path:
        return self.path / "stack.json"
