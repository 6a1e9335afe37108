"""Ports on loopback: what is taken, and what is promised to somebody."""

import socket
import subprocess
import sys

import pytest

from replicalab.stack.ports import LOOPBACK, PortClaim, free_port, is_free

HOLD = """
import sys
from replicalab.stack.ports import PortClaim
claim = PortClaim(int(sys.argv[1]))
assert claim.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


@pytest.mark.skipif(sys.platform != "linux", reason="claims are names that Linux alone has")
def test_a_port_is_claimed_by_one_process_until_it_ends() -> None:
    port = free_port()
    claim = PortClaim(port)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert not claim.acquire()
        holder.kill()
    assert claim.acquire()
    claim.release()
    assert claim.acquire()
    claim.release()
