"""Clients that hardly send or hardly read, on raw sockets, at a gateway without a proxy."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from replicalab.db.database import Database
from replicalab.domain.artifacts import BINARY, NamedArtifact
from replicalab.stack.ports import LOOPBACK, free_port
from replicalab.stack.processes import Process, Program
from tests.fixtures.servers import environment, running
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TOKEN = "token-of-the-tests-" + "x" * 16
HEAD_SECONDS, WINDOW_SECONDS = 1.0, 1.0
PATIENCE_SECONDS = 15.0
CONNECTIONS = 200
TCP_ESTABLISHED = 1
LARGE_BYTES = 48 * 2**20
MANY_BYTES = 24 * 2**20
"""More memory than this a slow reader must not cost; what it asked for is twice as much."""


@dataclass(frozen=True)
class Gateway:
    """A gateway process of this test's own."""

    process: Process
    port: int

    def connect(self, *, small_buffer: bool = False) -> socket.socket:
        client = socket.socket()
        if small_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE_SECONDS)
        client.connect((LOOPBACK, self.port))
        return client

    def head(self, method: str, path: str, **headers: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {TOKEN}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def answers_within(self, seconds: float) -> bool:
        began = time.monotonic()
        url = f"http://{LOOPBACK}:{self.port}/v1/experiments"
        answer = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=seconds)
        return answer.status_code == 200 and time.monotonic() - began < seconds

    def memory_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def open_sockets(self) -> int:
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        return sum(os.readlink(link).startswith("socket:") for link in list(links))


@pytest.fixture
def lab(postgres_url: str, tmp_path: Path) -> Iterator[Lab]:
    database = Database(postgres_url)
    yield Lab(database, tmp_path / "artifacts")
    database.close()


@pytest.fixture
def gateway(postgres_url: str, valkey_url: str, lab: Lab, tmp_path: Path) -> Iterator[Gateway]:
    port = free_port()
    variables = environment() | {
        "REPLICALAB_DATABASE__URL": postgres_url,
        "REPLICALAB_BROKER__URL": valkey_url,
        "REPLICALAB_STORE__KIND": "local",
        "REPLICALAB_STORE__FOLDER": str(lab.folder),
        "REPLICALAB_PEPPER": "of the tests: " + "x" * 32,
        "REPLICALAB_TOKEN": TOKEN,
        "REPLICALAB_PORT": str(port),
        "REPLICALAB_PATIENCE__HEAD_SECONDS": str(HEAD_SECONDS),
        "REPLICALAB_PATIENCE__WINDOW_SECONDS": str(WINDOW_SECONDS),
    }
    command = [sys.executable, "-P", "-m", "replicalab_api"]
    program = Program("gateway", command, variables, tmp_path / "gateway.log")

    def is_ready() -> bool:
        try:
            return httpx.get(f"http://{LOOPBACK}:{port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    with running(program, is_ready) as process:
        yield Gateway(process, port)


@pytest.fixture
def large_artifact(lab: Lab) -> str:
    """The path of an artifact that no buffer holds."""
    experiment, _ = lab.experiments.submit(STUDY, owner="lab", idempotency_key=None)
    task = lab.must_claim()
    ref = lab.artifacts.write(os.urandom(LARGE_BYTES), BINARY)
    assert lab.tasks.complete(task.id, task.epoch, [NamedArtifact(name="train.npz", ref=ref)], [])
    return f"/v1/experiments/{experiment.id}/artifacts/{task.key}/train.npz"


@pytest.fixture
def running_experiment(lab: Lab) -> UUID:
    return lab.experiments.submit(STUDY, owner="lab", idempotency_key=None)[0].id


def rest_of(client: socket.socket) -> bytes:
    """What comes until the gateway closes."""
    received = bytearray()
    try:
        while piece := client.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return bytes(received)


def is_connected(client: socket.socket) -> bool:
    """Whether neither side has ended the connection, unread bytes or not."""
    state = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == TCP_ESTABLISHED


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_two_hundred_connections_that_send_nothing_are_closed_and_others_are_served(
    gateway: Gateway,
) -> None:
    before = gateway.open_sockets()
    with ExitStack() as clients:
        opened = [clients.enter_context(gateway.connect()) for _ in range(CONNECTIONS)]
        assert gateway.answers_within(HEAD_SECONDS)
        assert all(rest_of(client) == b"" for client in opened)
        wait_until(lambda: gateway.open_sockets() <= before)


def test_a_head_that_trickles_is_refused_however_often_something_comes(gateway: Gateway) -> None:
    began = time.monotonic()
    with gateway.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n")
        answer = b""
        client.settimeout(0.1)
        while not answer:
            assert time.monotonic() - began < PATIENCE_SECONDS
            client.sendall(b"X-Slow: 1\r\n")
            try:
                answer = client.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request-timeout"' in answer
    assert time.monotonic() - began >= HEAD_SECONDS


def test_the_head_of_a_second_request_has_no_longer(gateway: Gateway) -> None:
    with gateway.connect() as client:
        client.sendall(gateway.head("GET", "/healthz"))
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"GET /he")
        assert b" 408 " in rest_of(client)


def test_a_body_that_trickles_is_refused(gateway: Gateway) -> None:
    with gateway.connect() as client:
        client.sendall(
            gateway.head(
                "POST",
                "/v1/experiments:validate",
                Content_Type="application/json",
                Content_Length="100000",
            )
        )
        client.sendall(b"{")
        answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request-timeout"' in answer


def test_a_body_that_is_steady_is_read_however_long_it_takes(gateway: Gateway) -> None:
    body = b" " * 20_000
    with gateway.connect() as client:
        client.sendall(
            gateway.head(
                "POST",
                "/v1/experiments:validate",
                Content_Type="application/json",
                Content_Length=str(len(body)),
                Connection="close",
            )
        )
        for start in range(0, len(body), 500):
            client.sendall(body[start : start + 500])
            time.sleep(0.1)
        assert rest_of(client).startswith(b"HTTP/1.1 400 ")  # white space is no JSON


def test_a_reader_that_hardly_reads_costs_little_memory_and_is_cut(
    gateway: Gateway, large_artifact: str
) -> None:
    assert gateway.answers_within(5)
    before = gateway.memory_bytes()
    with gateway.connect(small_buffer=True) as client:
        client.sendall(gateway.head("GET", large_artifact))
        assert client.recv(12) == b"HTTP/1.1 200"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while is_connected(client):
            assert time.monotonic() < deadline
            assert gateway.answers_within(1)
            assert gateway.memory_bytes() - before < MANY_BYTES
            client.recv(10)
            time.sleep(0.1)
        assert len(rest_of(client)) < LARGE_BYTES


def test_a_reader_that_reads_steadily_gets_everything(
    gateway: Gateway, large_artifact: str
) -> None:
    with gateway.connect() as client:
        client.sendall(gateway.head("GET", large_artifact, Connection="close"))
        received = 0
        began = time.monotonic()
        while piece := client.recv(2**20):
            received += len(piece)
            time.sleep(0.05)
    assert received > LARGE_BYTES
    assert time.monotonic() - began > 2 * WINDOW_SECONDS


def test_a_quiet_stream_is_no_slow_reader(gateway: Gateway, running_experiment: UUID) -> None:
    with gateway.connect() as client:
        client.sendall(gateway.head("GET", f"/v1/experiments/{running_experiment}/events"))
        assert client.recv(12) == b"HTTP/1.1 200"
        client.settimeout(3 * WINDOW_SECONDS)
        with pytest.raises(TimeoutError):
            rest_of(client)
