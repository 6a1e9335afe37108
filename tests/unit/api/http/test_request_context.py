"""What surrounds every request."""

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize("path", ["/echo/3", "/nowhere", "/problems/conflict"])
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_a_failure_carries_them_too(client: TestClient) -> None:
    assert client.delete("/echo").headers["x-content-type-options"] == "nosniff"


def test_a_callers_request_id_is_kept(client: TestClient) -> None:
    response = client.get("/echo/3", headers={"X-Request-ID": "trace-0123456789"})
    assert response.headers["x-request-id"] == "trace-0123456789"


@pytest.mark.parametrize("given", ["short", "x" * 65, "with space", "line%0abreak", "caf\xe9caf"])
def test_an_odd_request_id_is_replaced(client: TestClient, given: str) -> None:
    response = client.get("/echo/3", headers={"X-Request-ID": given.encode("latin-1")})
    assert len(response.headers["x-request-id"]) == 32


def test_a_request_is_one_line_in_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get("/echo/3", params={"q": "private"})
    (record,) = [r for r in caplog.records if r.name == "replicalab_api.access"]
    assert record.getMessage().startswith(
        f"request_id={response.headers['x-request-id']} method=GET route=/echo/{{number}} "
        "status=200 seconds="
    )
