"""Who is let in."""

import pytest
from fastapi.testclient import TestClient

from replicalab_api.identity.bootstrap import BootstrapToken
from tests.unit.api.http.conftest import TOKEN


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        "Bearer caf\xe9",
    ],
)
def test_without_the_token_nobody_gets_in(anonymous: TestClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for response in (
        anonymous.get("/echo/3", headers=headers),
        anonymous.get("/openapi.json", headers=headers),
        anonymous.post("/echo", content=b"{", headers=headers),
    ):
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
        assert response.headers["www-authenticate"] == 'Bearer realm="replicalab"'


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_opens(anonymous: TestClient, scheme: str) -> None:
    response = anonymous.get("/echo/3", headers={"Authorization": f"{scheme} {TOKEN}"})
    assert response.json() == {"number": 3}


@pytest.mark.parametrize("parameter", ["token", "access_token", "API_KEY"])
def test_a_token_in_the_address_is_refused_and_never_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture, parameter: str
) -> None:
    response = client.get("/echo/3", params={parameter: TOKEN})
    assert (response.status_code, response.json()["code"]) == (400, "token-in-url")
    assert "route=/echo/{number} status=400" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name != "httpx"]
    assert TOKEN not in response.text + "".join(ours)


def test_a_short_token_is_no_token() -> None:
    with pytest.raises(ValueError, match="16"):
        BootstrapToken("secret")
