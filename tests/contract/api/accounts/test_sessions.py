"""Browsers: logging in and out, cookies, forged requests, guessed passwords."""

import statistics
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from replicalab.db.database import Database
from replicalab.domain.accounts import Role
from tests.contract.api.accounts.conftest import PASSWORD, SITE, AddPerson, PassTime, Person

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

Headers = dict[str, str]


def log_in(browser: TestClient, name: str = "ann", password: str = PASSWORD) -> Response:
    response: Response = browser.post("/v1/session", json={"name": name, "password": password})
    return response


@pytest.fixture
def csrf(browser: TestClient, ann: Person) -> Headers:
    """Ann's browser is logged in; what her page sends along."""
    response = log_in(browser)
    assert response.status_code == 201, response.text
    return {"X-CSRF-Token": response.json()["csrf_token"]}


def test_a_session_is_its_users(browser: TestClient, csrf: Headers) -> None:
    me = browser.get("/v1/me").json()
    assert (me["user"]["name"], me["credential"]) == ("ann", "session")
    assert me["csrf_token"] == csrf["X-CSRF-Token"]


def test_names_are_the_same_in_any_case(browser: TestClient, ann: Person) -> None:
    assert log_in(browser, "Ann").status_code == 201


def test_the_cookie_is_kept_from_scripts_and_other_sites(browser: TestClient, ann: Person) -> None:
    cookie = log_in(browser).headers["set-cookie"]
    assert cookie.startswith("rl=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


@pytest.mark.parametrize("site", ["https://lab.example.org", "http://lab.example.org"])
def test_off_this_machine_the_cookie_is_secure_and_bound_to_its_host(
    app: FastAPI, ann: Person, site: str
) -> None:
    cookie = log_in(TestClient(app, base_url=site)).headers["set-cookie"]
    assert cookie.startswith("__Host-rl=")
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Secure"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_after_logging_out_the_cookie_is_worth_nothing(
    app: FastAPI, browser: TestClient, csrf: Headers
) -> None:
    stolen = browser.cookies["rl"]
    assert browser.delete("/v1/session", headers=csrf).status_code == 204
    assert "rl" not in browser.cookies
    thief = TestClient(app, base_url=SITE, cookies={"rl": stolen})
    assert thief.get("/v1/me").status_code == 401


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "0" * 64},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_forged_request_changes_nothing(
    browser: TestClient, csrf: Headers, forged: Headers
) -> None:
    headers = forged if "X-CSRF-Token" in forged or not forged else csrf | forged
    response = browser.post("/v1/tokens", json={"name": "x"}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "csrf-refused")


def test_a_page_of_the_site_may_change_things(browser: TestClient, csrf: Headers) -> None:
    headers = csrf | {"Sec-Fetch-Site": "same-origin", "Origin": SITE}
    assert browser.post("/v1/tokens", json={"name": "x"}, headers=headers).status_code == 201


def test_the_token_of_another_session_does_not_help(
    app: FastAPI, browser: TestClient, csrf: Headers
) -> None:
    other = TestClient(app, base_url=SITE)
    log_in(other)
    assert other.post("/v1/tokens", json={"name": "x"}, headers=csrf).status_code == 403


def test_another_site_cannot_log_a_browser_in(browser: TestClient, ann: Person) -> None:
    body = {"name": "ann", "password": PASSWORD}
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/v1/session", json=body, headers=headers).status_code == 403


def test_a_bad_authorization_header_is_not_made_up_for_by_a_cookie(
    browser: TestClient, csrf: Headers
) -> None:
    assert browser.get("/v1/me", headers={"Authorization": "Bearer x"}).status_code == 401
    assert browser.get("/v1/me", headers={"Authorization": "Basic x"}).status_code == 401


@pytest.mark.parametrize("change", [{"is_disabled": True}, {"password": "four other random words"}])
def test_disabling_a_user_and_setting_a_password_ends_sessions(
    client: TestClient, browser: TestClient, csrf: Headers, ann: Person, change: dict[str, object]
) -> None:
    assert client.patch(f"/v1/users/{ann.id}", json=change).status_code == 200
    assert browser.get("/v1/me").status_code == 401


def test_an_idle_session_ends_after_twelve_hours(
    browser: TestClient, csrf: Headers, pass_time: PassTime
) -> None:
    pass_time(timedelta(hours=11, minutes=59))
    assert browser.get("/v1/me").status_code == 200
    pass_time(timedelta(hours=23, minutes=58))
    assert browser.get("/v1/me").status_code == 200
    pass_time(timedelta(hours=36))
    assert browser.get("/v1/me").status_code == 401


def test_the_busiest_session_ends_after_a_week(
    browser: TestClient, csrf: Headers, pass_time: PassTime
) -> None:
    for half_days in range(1, 14):
        pass_time(timedelta(hours=12 * half_days, minutes=-half_days))
        assert browser.get("/v1/me").status_code == 200
    pass_time(timedelta(days=7, seconds=1))
    assert browser.get("/v1/me").status_code == 401


def test_a_session_of_a_disabled_user_is_worth_nothing_even_if_it_is_still_there(
    browser: TestClient, csrf: Headers, database: Database
) -> None:
    with database.transaction() as session:
        session.execute(sa.text("UPDATE users SET disabled_at = rl_now() WHERE name = 'ann'"))
    assert browser.get("/v1/me").status_code == 401


def test_people_change_their_own_password(browser: TestClient, csrf: Headers) -> None:
    new = "four other random words"
    wrong = browser.put("/v1/me/password", json={"old": new, "new": new}, headers=csrf)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "login-failed")
    right = browser.put("/v1/me/password", json={"old": PASSWORD, "new": new}, headers=csrf)
    assert right.status_code == 204
    assert browser.get("/v1/me").status_code == 401
    assert log_in(browser).status_code == 401
    assert log_in(browser, password=new).status_code == 201


def test_the_reason_of_a_failed_login_is_not_told(
    client: TestClient, browser: TestClient, add_person: AddPerson
) -> None:
    add_person("ann", Role.RESEARCHER)
    gone = add_person("gone", Role.RESEARCHER)
    client.patch(f"/v1/users/{gone.id}", json={"is_disabled": True})
    client.post("/v1/users", json={"name": "robot"})
    answers = set()
    for name, password in (
        ("ann", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("robot", PASSWORD),
    ):
        response = log_in(browser, name, password)
        body = response.text.replace(response.json()["request_id"], "")
        answers.add((response.status_code, body))
    assert len(answers) == 1


def test_unknown_names_take_as_long_as_wrong_passwords(browser: TestClient, ann: Person) -> None:
    def seconds(name: str) -> float:
        began = time.process_time()  # the clock would also count what else the machine does
        assert log_in(browser, name, "wrong").status_code == 401
        return time.process_time() - began

    known = statistics.median(seconds("ann") for _ in range(5))
    unknown = statistics.median(seconds(f"nobody-{n}") for n in range(5))
    assert known / 3 < unknown < known * 3


def test_the_sixth_guess_waits_whatever_it_is(browser: TestClient, ann: Person) -> None:
    for _ in range(5):
        assert log_in(browser, password="wrong").status_code == 401
    for password in ("wrong", PASSWORD):
        response = log_in(browser, password=password)
        assert (response.status_code, response.json()["code"]) == (429, "too-many-requests")
        assert 0 < int(response.headers["retry-after"]) <= 15 * 60


def test_unknown_accounts_are_limited_like_known_ones(browser: TestClient, ann: Person) -> None:
    answers = [log_in(browser, "nobody", "wrong").status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_logging_in_rightly_forgets_the_guesses(browser: TestClient, ann: Person) -> None:
    for _ in range(3):
        for _ in range(4):
            log_in(browser, password="wrong")
        assert log_in(browser).status_code == 201


def test_an_address_may_not_guess_at_one_account_after_the_other(
    browser: TestClient, ann: Person
) -> None:
    answers = [log_in(browser, f"user-{n}", "wrong").status_code for n in range(21)]
    assert answers == [401] * 20 + [429]
