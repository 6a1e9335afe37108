"""Logging in at the lab's OpenID Connect provider, a real one on loopback."""

from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from joserfc.jwk import RSAKey

from replicalab.db.database import Database
from replicalab.domain.accounts import Role
from replicalab_api.accounts.provider import CALLBACK
from replicalab_api.identity.oidc import Provider, ProviderAccount
from replicalab_api.identity.services import account_services
from tests.contract.api.accounts.conftest import SITE, Person
from tests.contract.api.conftest import PEPPER, TOKEN
from tests.fixtures.oidc import CLIENT_ID, CLIENT_SECRET, FakeProvider, serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

Walk = Callable[[TestClient], str]


@pytest.fixture
def provider(app: FastAPI, database: Database) -> Iterator[FakeProvider]:
    """A running provider, and a gateway that trusts it."""
    with serving(FakeProvider()) as fake:
        account = ProviderAccount(fake.issuer, CLIENT_ID, CLIENT_SECRET, SITE + CALLBACK)
        app.state.accounts = account_services(
            database, PEPPER, TOKEN, provider=Provider(account), role_of_new=Role.RESEARCHER
        )
        yield fake


def ask_provider(browser: TestClient, **query: str) -> str:
    """Begin a login and let the provider send the browser back; returns where to."""
    begun = browser.get("/v1/session/oidc", params=query, follow_redirects=False)
    assert begun.status_code == 302, begun.text
    answer = httpx.get(begun.headers["Location"], trust_env=False)
    back = str(answer.headers["Location"])
    assert back.startswith(SITE + CALLBACK)
    return back.removeprefix(SITE)


def come_back(browser: TestClient, where: str) -> Response:
    response: Response = browser.get(where, follow_redirects=False)
    return response


def is_refused(response: Response) -> bool:
    return (response.status_code, response.json()["code"]) == (401, "login-failed")


def test_whom_the_provider_vouches_for_gets_a_session(
    browser: TestClient, provider: FakeProvider
) -> None:
    provider.claims |= {"name": "Ann Example", "email": "ann@example.org"}
    response = come_back(browser, ask_provider(browser))
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    me = browser.get("/v1/me").json()
    assert me["credential"] == "session"
    user = me["user"]
    assert (user["name"], user["display_name"]) == ("ann", "Ann Example")
    assert (user["email"], user["role"]) == ("ann@example.org", "researcher")
    assert not user["has_password"]


@pytest.mark.parametrize("path", ["/", "/experiments/1", "/experiments?state=running&name=a%20b"])
def test_a_login_ends_where_it_was_asked_for(
    browser: TestClient, provider: FakeProvider, path: str
) -> None:
    response = come_back(browser, ask_provider(browser, then=path))
    assert (response.status_code, response.headers["Location"]) == (303, path)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "",
        "/" + "x" * 512,
    ],
)
def test_a_login_never_ends_at_another_site(
    browser: TestClient, provider: FakeProvider, path: str
) -> None:
    response = browser.get("/v1/session/oidc", params={"then": path}, follow_redirects=False)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/then"


def test_the_same_subject_is_the_same_user_whatever_it_is_called(
    app: FastAPI, browser: TestClient, provider: FakeProvider
) -> None:
    come_back(browser, ask_provider(browser))
    first = browser.get("/v1/me").json()["user"]
    provider.claims["preferred_username"] = "annie"
    other = TestClient(app, base_url=SITE)
    come_back(other, ask_provider(other))
    assert other.get("/v1/me").json()["user"] == first


def test_a_name_that_is_taken_takes_nobody_over(
    browser: TestClient, provider: FakeProvider, ann: Person
) -> None:
    provider.claims["email"] = "ann@example.org"
    come_back(browser, ask_provider(browser))
    user = browser.get("/v1/me").json()["user"]
    assert user["id"] != str(ann.id)
    assert user["name"].startswith("ann-")


def test_names_that_the_lab_would_not_take_are_changed(
    browser: TestClient, provider: FakeProvider
) -> None:
    provider.claims |= {"preferred_username": "../Ünï <b>", "name": "a\u202eb", "email": "no"}
    come_back(browser, ask_provider(browser))
    user = browser.get("/v1/me").json()["user"]
    assert (user["name"], user["display_name"], user["email"]) == ("n-b", "n-b", None)


@pytest.mark.parametrize(
    "lies",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"aud": "somebody else"},
        {"aud": [CLIENT_ID, "somebody else"], "azp": "somebody else"},
        {"iss": "http://127.0.0.1:1"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": None},
    ],
)
def test_a_token_that_is_not_for_this_login_is_refused(
    client: TestClient, browser: TestClient, provider: FakeProvider, lies: dict[str, object]
) -> None:
    provider.lies = lies
    assert is_refused(come_back(browser, ask_provider(browser)))
    assert browser.get("/v1/me").status_code == 401
    newest = client.get("/v1/audit").json()["items"][0]
    assert (newest["actor"], newest["action"]) == ("nobody", "session.login-oidc-failed")


def test_a_token_that_somebody_else_signed_is_refused(
    browser: TestClient, provider: FakeProvider
) -> None:
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "1"})
    assert is_refused(come_back(browser, ask_provider(browser)))


def test_a_login_is_finished_once(browser: TestClient, provider: FakeProvider) -> None:
    where = ask_provider(browser)
    assert come_back(browser, where).status_code == 303
    assert is_refused(come_back(browser, where))


def test_a_login_is_finished_by_the_browser_that_began_it(
    app: FastAPI, browser: TestClient, provider: FakeProvider
) -> None:
    where = ask_provider(browser)
    victim = TestClient(app, base_url=SITE)
    assert is_refused(come_back(victim, where))
    ask_provider(victim)
    assert is_refused(come_back(victim, where))


def test_a_code_of_another_login_is_refused(
    app: FastAPI, browser: TestClient, provider: FakeProvider
) -> None:
    other = TestClient(app, base_url=SITE)
    stolen = parse_qs(urlsplit(ask_provider(other)).query)["code"][0]
    own = parse_qs(urlsplit(ask_provider(browser)).query)["state"][0]
    response = browser.get(CALLBACK, params={"state": own, "code": stolen}, follow_redirects=False)
    assert is_refused(response)


def test_who_refuses_at_the_provider_is_not_logged_in(
    browser: TestClient, provider: FakeProvider
) -> None:
    state = parse_qs(urlsplit(ask_provider(browser)).query)["state"][0]
    assert is_refused(browser.get(CALLBACK, params={"state": state, "error": "access_denied"}))


def test_a_disabled_user_stays_out(
    client: TestClient, browser: TestClient, provider: FakeProvider
) -> None:
    come_back(browser, ask_provider(browser))
    user = browser.get("/v1/me").json()["user"]
    client.patch(f"/v1/users/{user['id']}", json={"is_disabled": True})
    assert is_refused(come_back(browser, ask_provider(browser)))


def test_a_provider_that_is_away_is_named(app: FastAPI, database: Database) -> None:
    account = ProviderAccount("http://127.0.0.1:9", CLIENT_ID, CLIENT_SECRET, SITE + CALLBACK)
    app.state.accounts = account_services(database, PEPPER, TOKEN, provider=Provider(account))
    response = TestClient(app, base_url=SITE).get("/v1/session/oidc")
    assert (response.status_code, response.json()["code"]) == (503, "provider-unavailable")


def test_without_a_provider_there_is_none(browser: TestClient) -> None:
    for path in ("/v1/session/oidc", f"{CALLBACK}?state=x&code=y"):
        response = browser.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "no-provider")
