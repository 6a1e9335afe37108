"""Ports on the loopback interface."""

import socket
import sys

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class PortClaim:
    """Keeps other stacks from choosing a port before the server that will use it listens.

    A name in the kernel (Linux), gone with the process; elsewhere every claim succeeds.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def acquire(self) -> bool:
        """Whether no other process claims the port."""
        if sys.platform != "linux":
            return True
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0replicalab-port-{self._port}")
        except OSError:
            claim.close()
            return False
        self._socket = claim
        return True

    def release(self) -> None:
        """Let others claim it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
