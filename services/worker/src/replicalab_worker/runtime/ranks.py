"""Several processes of one task on this machine, started and watched by torchrun.

Run as ``python -m replicalab_worker.runtime.ranks PARENT_PID PROCESSES MODULE FOLDER`` it becomes
torchrun (``torch.distributed.run``) itself, tied to the life of the process that started it.
"""

import os
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from replicalab.lifelines import die_with
from replicalab.processors import usable_processors
from replicalab_worker.runtime.device import THREADS_VARIABLE

SOCKET = "socket"
LOG = "ranks.log"
START_SECONDS = 120.0
END_SECONDS = 10.0
_POLL_SECONDS = 0.2
_SHOWN_CHARACTERS = 3000


class Ranks:
    """Processes 0 to N - 1 that run a module on a folder; rank 0 has a connection to this one.

    Args:
        module: Name of the module to run; it gets the folder as its argument.
        folder: Private folder with whatever the ranks read.
        processes: How many.
    """

    def __init__(self, module: str, folder: Path, processes: int) -> None:
        self._folder = folder
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / SOCKET))
        listener.listen(1)
        command = [sys.executable, "-m", __name__, str(os.getpid()), str(processes), module]
        with (folder / LOG).open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command, str(folder)],
                env=_environment(processes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.connection = self._accept(listener)
        except BaseException:
            self.end()
            raise
        finally:
            listener.close()

    def end(self) -> None:
        """End every process, those that hang too: the kernel kills ranks with their torchrun."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def failure(self) -> ChildProcessError:
        """What to raise when rank 0 fell silent: how the processes ended, and what they said."""
        try:
            code: int | None = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        said = (self._folder / LOG).read_text(errors="replace")[-_SHOWN_CHARACTERS:]
        return ChildProcessError(
            f"A process of the training died and the others were ended (exit code {code}). "
            f"They said last:\n{said}"
        )

    def _accept(self, listener: socket.socket) -> Connection:
        listener.settimeout(_POLL_SECONDS)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                accepted, _ = listener.accept()
            except TimeoutError:
                continue
            accepted.setblocking(True)
            return Connection(accepted.detach())
        raise self.failure()


def connect(folder: Path) -> Connection:
    """Rank 0's end of the connection."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(folder / SOCKET))
    return Connection(client.detach())


def _environment(processes: int) -> dict[str, str]:
    """Ranks share the processors, and find each other on this machine alone."""
    threads = str(max(1, usable_processors() // processes))
    defaults = {
        THREADS_VARIABLE: threads,
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
    }
    return defaults | os.environ


def main() -> None:
    """Become torchrun; ranks die with it, and it dies with its parent."""
    # Needed here alone, and dear: whoever starts ranks or is one imports this module, too.
    from torch.distributed import run as torchrun  # noqa: PLC0415

    parent_pid, processes, module, folder = sys.argv[1:]
    die_with(int(parent_pid))
    torchrun.main(
        [
            "--standalone",
            "--local-addr=127.0.0.1",
            f"--nproc-per-node={processes}",
            "--max-restarts=0",
            "--module",
            module,
            folder,
        ]
    )


if __name__ == "__main__":
    main()
