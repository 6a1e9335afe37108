"""Tokens: shown once, limited, rotated, revoked at once."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicalab.db.accounts import TokenRow
from replicalab.db.database import Database
from replicalab.domain.accounts import Role
from replicalab_api.identity.token_text import TokenText
from tests.contract.api.accounts.conftest import AddPerson, PassTime, Person

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def status(app: FastAPI, token: str) -> tuple[int, str]:
    """How the gateway answers to a token, and the code of its problem."""
    response = TestClient(app, headers={"Authorization": f"Bearer {token}"}).get("/v1/me")
    return response.status_code, response.json().get("code", "")


def create(client: TestClient, **body: object) -> dict[str, str]:
    response = client.post("/v1/tokens", json={"name": "a token", **body})
    assert response.status_code == 201, response.text
    answer: dict[str, str] = response.json()
    return answer


WORKS, INVALID, EXPIRED = (200, ""), (401, "unauthenticated"), (401, "token-expired")


def test_a_secret_is_shown_once_and_stored_nowhere(ann: Person, database: Database) -> None:
    new = create(ann.client)
    assert new["token"].startswith(new["prefix"])
    listed = ann.client.get("/v1/tokens")
    assert new["id"] in listed.text
    assert "token" not in listed.json()[0]
    parsed = TokenText.parse(new["token"])
    assert parsed is not None
    with database.transaction() as session:
        row = session.scalars(
            sa.select(TokenRow).where(TokenRow.public_id == parsed.public_id)
        ).one()
        assert parsed.secret.encode() not in row.secret_hmac
        assert len(row.secret_hmac) == 32


def test_a_token_lives_90_days_unless_told_otherwise(
    app: FastAPI, ann: Person, pass_time: PassTime
) -> None:
    new, short = create(ann.client), create(ann.client, days=1)
    life = datetime.fromisoformat(new["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert life == timedelta(days=90)
    pass_time(timedelta(days=1, seconds=1))
    assert status(app, short["token"]) == EXPIRED
    assert status(app, new["token"]) == WORKS
    pass_time(timedelta(days=90, seconds=1))
    assert status(app, new["token"]) == EXPIRED


@pytest.mark.parametrize("days", [0, 366, -1, 1.5])
def test_no_token_lives_longer_than_a_year(ann: Person, days: float) -> None:
    response = ann.client.post("/v1/tokens", json={"name": "x", "days": days})
    assert response.status_code == 422


def test_a_revoked_token_is_revoked_at_the_next_request(app: FastAPI, ann: Person) -> None:
    new = create(ann.client)
    assert status(app, new["token"]) == WORKS
    assert ann.client.delete(f"/v1/tokens/{new['id']}").json()["revoked_at"]
    assert status(app, new["token"]) == INVALID
    assert ann.client.delete(f"/v1/tokens/{new['id']}").status_code == 200


def test_a_rotated_token_works_for_a_day_more(
    app: FastAPI, ann: Person, pass_time: PassTime
) -> None:
    old = create(ann.client)
    new = ann.client.post(f"/v1/tokens/{old['id']}:rotate").json()
    assert new["prefix"] == old["prefix"]
    assert status(app, old["token"]) == status(app, new["token"]) == WORKS
    pass_time(timedelta(hours=24, seconds=1))
    assert status(app, old["token"]) == EXPIRED
    assert status(app, new["token"]) == WORKS


def test_a_rotation_can_end_the_old_secret_now(app: FastAPI, ann: Person) -> None:
    old = create(ann.client)
    new = ann.client.post(f"/v1/tokens/{old['id']}:rotate", params={"now": True}).json()
    assert status(app, old["token"]) == INVALID
    assert status(app, new["token"]) == WORKS


def test_the_secret_before_the_last_rotation_is_dead(app: FastAPI, ann: Person) -> None:
    first = create(ann.client)
    ann.client.post(f"/v1/tokens/{first['id']}:rotate")
    ann.client.post(f"/v1/tokens/{first['id']}:rotate")
    assert status(app, first["token"]) == INVALID


def test_a_token_of_a_disabled_user_is_dead_at_once(
    app: FastAPI, client: TestClient, ann: Person
) -> None:
    assert status(app, ann.token) == WORKS
    client.patch(f"/v1/users/{ann.id}", json={"is_disabled": True})
    assert status(app, ann.token) == INVALID
    client.patch(f"/v1/users/{ann.id}", json={"is_disabled": False})
    assert status(app, ann.token) == WORKS


def test_scopes_limit_what_a_token_may_do(app: FastAPI, ann: Person) -> None:
    reader = create(ann.client, scopes=["read"])["token"]
    client = TestClient(app, headers={"Authorization": f"Bearer {reader}"})
    assert client.get("/v1/experiments").status_code == 200
    for method, path in (("POST", "/v1/experiments"), ("POST", "/v1/tokens")):
        response = client.request(method, path, json={"name": "x"})
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_no_token_makes_one_that_may_do_more(app: FastAPI, ann: Person) -> None:
    minting = create(ann.client, scopes=["tokens"])
    client = TestClient(app, headers={"Authorization": f"Bearer {minting['token']}"})
    assert client.post("/v1/tokens", json={"name": "x", "scopes": ["write"]}).status_code == 403
    stronger = create(ann.client, scopes=["write"])
    assert client.post(f"/v1/tokens/{stronger['id']}:rotate").status_code == 403
    assert client.post("/v1/tokens", json={"name": "x", "scopes": ["tokens"]}).status_code == 201


def test_nobody_makes_tokens_for_others_but_administrators(ann: Person, bob: Person) -> None:
    body = {"name": "x", "user_id": str(bob.id)}
    assert ann.client.post("/v1/tokens", json=body).status_code == 403


def test_a_role_that_is_taken_away_is_gone_at_once(client: TestClient, ann: Person) -> None:
    assert ann.client.post("/v1/experiments", json={}).status_code == 422
    client.patch(f"/v1/users/{ann.id}", json={"role": "viewer"})
    assert ann.client.post("/v1/experiments", json={}).status_code == 403


def test_the_last_use_is_told_to_the_hour(ann: Person) -> None:
    ann.client.get("/v1/me")
    (token,) = ann.client.get("/v1/tokens").json()
    used = datetime.fromisoformat(token["last_used_at"])
    assert (used.minute, used.second, used.microsecond) == (0, 0, 0)


def test_unknown_revoked_and_wrong_tokens_get_the_same_answer(app: FastAPI, ann: Person) -> None:
    revoked = create(ann.client)
    ann.client.delete(f"/v1/tokens/{revoked['id']}")
    parsed = TokenText.parse(ann.token)
    assert parsed is not None
    answers = set()
    for token in (
        revoked["token"],
        TokenText.new().write(),
        TokenText.new(parsed.public_id).write(),
        "nonsense",
    ):
        client = TestClient(app, headers={"Authorization": f"Bearer {token}"})
        response = client.get("/v1/me")
        body = response.text.replace(response.json()["request_id"], "")
        answers.add((response.status_code, body))
    assert len(answers) == 1


def test_nobody_has_more_than_fifty_living_tokens(client: TestClient, ann: Person) -> None:
    for _ in range(49):
        create(ann.client)
    response = ann.client.post("/v1/tokens", json={"name": "one more"})
    assert (response.status_code, response.json()["code"]) == (409, "too-many-tokens")


def test_the_bootstrap_token_is_the_first_administrator_and_is_audited(
    client: TestClient, add_person: AddPerson
) -> None:
    me = client.get("/v1/me").json()
    assert (me["user"]["name"], me["user"]["role"], me["credential"]) == (
        "lab",
        "admin",
        "bootstrap",
    )
    add_person("root", Role.ADMIN)
    entries = client.get("/v1/audit").json()["items"]
    assert {entry["action"] for entry in entries} == {"user.create", "token.create"}
    assert {(entry["actor"], entry["credential"]) for entry in entries} == {("lab", "bootstrap")}
