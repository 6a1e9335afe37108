"""Inputs that no other test sends, some of which no HTTP library would send at all."""

import socket
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from replicalab_api.experiments.examples import SMALL_STUDY
from tests.contract.api.conftest import TOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def told(server: str, request: bytes) -> bytes:
    """Everything that the gateway answers to raw bytes until it closes the connection."""
    address = urlsplit(server)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as connection:
        connection.sendall(request)
        answer = bytearray()
        while piece := connection.recv(2**16):
            answer += piece
    return bytes(answer)


@pytest.mark.parametrize(
    ("length", "status"),
    [(b"999999999999999999", b"413"), (b"-1", b"400"), (b"1e3", b"400"), (b"5, 6", b"400")],
)
def test_a_length_that_cannot_be_is_refused_at_once(
    server: str, length: bytes, status: bytes
) -> None:
    head = (
        b"POST /v1/experiments HTTP/1.1\r\nHost: lab\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\nContent-Length: " + length + b"\r\n\r\n"
    )
    answer = told(server, head)
    assert answer.split(b" ")[1] == status
    assert b"Traceback" not in answer


def test_a_head_without_end_is_given_up(server: str) -> None:
    answer = told(server, b"GET /healthz HTTP/1.1\r\nHost: lab\r\nX-Long: " + b"x" * 70_000)
    assert answer.split(b" ")[1] in {b"400", b"431"}


def test_names_that_look_alike_are_one_name(client: TestClient) -> None:
    composed, decomposed = "M\u00fcller", "Mu\u0308ller"
    assert client.post("/v1/projects", json={"name": composed}).status_code == 201
    again = client.post("/v1/projects", json={"name": decomposed})
    assert (again.status_code, again.json()["code"]) == (409, "name-taken")


def test_somebody_elses_key_is_another_key(client: TestClient) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    user = client.post("/v1/users", json={"name": "ann"}).json()["id"]
    body = {"name": "hers", "user_id": user}
    token = client.post("/v1/tokens", json=body).json()["token"]
    hers = {"Authorization": f"Bearer {token}"}
    first = client.post("/v1/experiments", json=SMALL_STUDY, headers=headers)
    other = client.post("/v1/experiments", json=SMALL_STUDY, headers=headers | hers)
    assert first.status_code == other.status_code == 202
    assert first.json()["id"] != other.json()["id"]
    assert "Idempotency-Replayed" not in other.headers
