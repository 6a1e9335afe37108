"""The audit log tells who did what, and nobody rewrites it."""

from collections.abc import Callable
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import ProgrammingError

from replicalab.db.database import Database
from replicalab.domain.accounts import Role
from replicalab_api.experiments.examples import SMALL_STUDY
from tests.contract.api.accounts.conftest import AddPerson, Person

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def entries(client: TestClient) -> list[tuple[str, str]]:
    items = client.get("/v1/audit", params={"limit": 200}).json()["items"]
    return [(item["actor"], item["action"]) for item in items]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "TRUNCATE audit"],
)
def test_the_database_refuses_to_change_it(
    database: Database, client: TestClient, ann: Person, statement: str
) -> None:
    before = entries(client)
    assert before
    with pytest.raises(ProgrammingError, match="append-only"), database.transaction() as session:
        session.execute(sa.text(statement))
    assert entries(client) == before


def test_an_entry_says_who_what_which_and_in_which_request(client: TestClient, ann: Person) -> None:
    headers = {"X-Request-ID": "request-of-the-test"}
    client.patch(f"/v1/users/{ann.id}", json={"role": "viewer"}, headers=headers)
    entry = client.get("/v1/audit").json()["items"][0]
    assert entry["action"] == "user.change"
    assert entry["object"] == f"user/{ann.id}"
    assert entry["request_id"] == "request-of-the-test"
    assert len({entry["before_sha256"], entry["after_sha256"], None}) == 3


def test_what_failed_is_not_told_as_done(client: TestClient, ann: Person) -> None:
    before = entries(client)
    assert client.post("/v1/users", json={"name": "ann"}).status_code == 409
    assert entries(client) == before


def test_a_change_that_was_refused_is_not_told(client: TestClient, ann: Person) -> None:
    path = ann.client.post("/v1/experiments", json=SMALL_STUDY).headers["Location"]
    ann.client.post(f"{path}:cancel")
    before = entries(client)
    for action in ("hold", "release"):
        assert ann.client.post(f"{path}:{action}").status_code == 409
    stale = {"If-Match": '"of another state"'}
    change = {"priority": "background"}
    assert ann.client.patch(path, json=change, headers={"If-Match": "*"}).status_code == 409
    other = ann.client.post("/v1/experiments", json=SMALL_STUDY).headers["Location"]
    assert ann.client.patch(other, json=change, headers=stale).status_code == 412
    assert entries(client) == before


def test_failed_logins_are_told_without_what_was_typed(
    client: TestClient, browser: TestClient, ann: Person
) -> None:
    for name in ("ann", "my-password-by-mistake"):
        body = {"name": name, "password": "wrong"}
        assert browser.post("/v1/session", json=body).status_code == 401
    shown = client.get("/v1/audit")
    told = [(item["actor"], item["action"], item["object"]) for item in shown.json()["items"][:2]]
    assert told == [
        ("nobody", "session.login-failed", "user/unknown"),
        ("nobody", "session.login-failed", f"user/{ann.id}"),
    ]
    assert "mistake" not in shown.text


def test_a_wrong_present_password_is_told(client: TestClient, ann: Person) -> None:
    body = {"old": "wrong", "new": "four other random words"}
    assert ann.client.put("/v1/me/password", json=body).status_code == 401
    assert entries(client)[0] == ("ann", "user.change-password-failed")


def test_secrets_are_not_in_it(client: TestClient, ann: Person) -> None:
    token = ann.client.post("/v1/tokens", json={"name": "x"}).json()["token"]
    text = client.get("/v1/audit").text
    assert token.split("_")[2] not in text


def test_pages_lead_through_every_entry_once(client: TestClient, ann: Person) -> None:
    seen: list[int] = []
    query: dict[str, int] = {"limit": 1}
    while True:
        page = client.get("/v1/audit", params=query).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_before"] is None:
            break
        query["before"] = page["next_before"]
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 2


def test_administrators_do_not_read_what_is_private_in_silence(
    client: TestClient,
    ann: Person,
    add_person: AddPerson,
    add_project: Callable[[str, dict[UUID, Role]], str],
) -> None:
    admin = add_person("root", Role.ADMIN)
    project = add_project("anns", {ann.id: Role.RESEARCHER})
    submitted = ann.client.post("/v1/experiments", json=SMALL_STUDY, params={"project": project})
    path = submitted.headers["Location"]
    for _ in range(3):
        assert admin.client.get(path).status_code == 200
        assert ann.client.get(path).status_code == 200
    told = [entry for entry in entries(client) if entry[1] == "read-private"]
    assert told == [("root", "read-private")]


def test_whoever_changes_an_experiment_is_told(client: TestClient, ann: Person) -> None:
    path = ann.client.post("/v1/experiments", json=SMALL_STUDY).headers["Location"]
    ann.client.post(f"{path}:hold")
    client.post(f"{path}:cancel")
    assert entries(client)[:2] == [("lab", "experiment.cancel"), ("ann", "experiment.hold")]
