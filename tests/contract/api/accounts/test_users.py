"""Users, projects and quotas, as administrators and maintainers change them."""

from collections.abc import Callable
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from replicalab.domain.accounts import Role
from replicalab_api.experiments.examples import SMALL_STUDY
from tests.contract.api.accounts.conftest import AddPerson, Person

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/users", {"name": "eve", "is_admin": True}),
        ("POST", "/v1/users", {"name": "eve", "password_hash": "x"}),
        ("PATCH", "/v1/users/{ann}", {"id": "01900000-0000-7000-8000-000000000000"}),
        ("PATCH", "/v1/users/{ann}", {"name": "eve"}),
        ("PATCH", "/v1/users/{ann}", {"role": "owner"}),
        ("POST", "/v1/tokens", {"name": "x", "secret_hmac": "00"}),
        ("POST", "/v1/tokens", {"name": "x", "expires_at": "2100-01-01T00:00:00Z"}),
        ("POST", "/v1/projects", {"name": "x", "id": "01900000-0000-7000-8000-000000000000"}),
        ("PUT", "/v1/projects/{default}/members/{ann}", {"role": "admin"}),
        ("PUT", "/v1/projects/{default}/members/{ann}", {"role": "viewer", "user_id": "x"}),
        ("PUT", "/v1/users/{ann}/quota", {"seconds": 1.0, "total_seconds": 0.0}),
        ("PUT", "/v1/users/{ann}/quota", {"seconds": -1.0}),
    ],
)
def test_fields_that_are_not_offered_are_refused(
    client: TestClient, ann: Person, method: str, path: str, body: dict[str, object]
) -> None:
    where = path.format(ann=ann.id, default="00000000-0000-7000-8000-000000000001")
    before = client.get(f"/v1/users/{ann.id}").json()
    assert client.request(method, where, json=body).status_code == 422
    assert client.get(f"/v1/users/{ann.id}").json() == before


def test_what_is_shown_of_a_user_holds_no_secret(client: TestClient, ann: Person) -> None:
    assert set(client.get(f"/v1/users/{ann.id}").json()) == {
        "id",
        "name",
        "display_name",
        "email",
        "role",
        "has_password",
        "created_at",
        "disabled_at",
    }


@pytest.mark.parametrize("name", ["ann", "ANN", "Ann"])
def test_names_are_unique_in_any_case(client: TestClient, ann: Person, name: str) -> None:
    response = client.post("/v1/users", json={"name": name})
    assert (response.status_code, response.json()["code"]) == (409, "name-taken")


@pytest.mark.parametrize("name", ["", "a b", "\u0430nn", "../x", "a" * 65, "-a", "a\u0000"])
def test_names_that_could_be_mistaken_are_refused(client: TestClient, name: str) -> None:
    assert client.post("/v1/users", json={"name": name}).status_code == 422


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "my name is eve ok"])
def test_weak_passwords_are_refused(client: TestClient, password: str) -> None:
    response = client.post("/v1/users", json={"name": "eve", "password": password})
    assert response.status_code == 422
    assert password not in response.text


def test_the_lab_keeps_an_administrator(client: TestClient, add_person: AddPerson) -> None:
    root = add_person("root", Role.ADMIN)
    for change in ({"role": "viewer"}, {"is_disabled": True}):
        response = client.patch(f"/v1/users/{root.id}", json=change)
        assert (response.status_code, response.json()["code"]) == (409, "last-administrator")
    add_person("other", Role.ADMIN)
    assert client.patch(f"/v1/users/{root.id}", json={"role": "viewer"}).status_code == 200


def test_lists_show_what_their_reader_may_see(
    client: TestClient,
    ann: Person,
    bob: Person,
    add_project: Callable[[str, dict[UUID, Role]], str],
) -> None:
    private = add_project("bobs", {bob.id: Role.RESEARCHER})
    hidden = bob.client.post("/v1/experiments", json=SMALL_STUDY, params={"project": private})
    shared = bob.client.post("/v1/experiments", json=SMALL_STUDY)

    def listed(reader: TestClient) -> set[str]:
        return {item["id"] for item in reader.get("/v1/experiments").json()["items"]}

    assert listed(ann.client) == {shared.json()["id"]}
    assert listed(bob.client) == listed(client) == {shared.json()["id"], hidden.json()["id"]}
    names = {project["name"] for project in ann.client.get("/v1/projects").json()}
    assert names == {"default"}


def test_members_come_and_go_at_once(
    ann: Person, add_person: AddPerson, client: TestClient
) -> None:
    boss = add_person("boss", Role.MAINTAINER)
    project = boss.client.post("/v1/projects", json={"name": "bosses"}).json()["id"]
    path = boss.client.post(
        "/v1/experiments", json=SMALL_STUDY, params={"project": project}
    ).headers["Location"]
    member = f"/v1/projects/{project}/members/{ann.id}"
    assert ann.client.get(path).status_code == 404
    assert boss.client.put(member, json={"role": "viewer"}).status_code == 200
    assert ann.client.get(path).status_code == 200
    assert ann.client.post(f"{path}:cancel").status_code == 403
    submit = ann.client.post("/v1/experiments", json=SMALL_STUDY, params={"project": project})
    assert submit.status_code == 403
    assert boss.client.delete(member).status_code == 204
    assert ann.client.get(path).status_code == 404


def test_nobody_submits_to_a_project_they_cannot_see(
    client: TestClient, ann: Person, add_project: Callable[[str, dict[UUID, Role]], str]
) -> None:
    private = add_project("private", {})
    unknown = "01900000-0000-7000-8000-000000000000"
    for caller, project in ((ann.client, private), (ann.client, unknown), (client, unknown)):
        response = caller.post("/v1/experiments", json=SMALL_STUDY, params={"project": project})
        assert (response.status_code, response.json()["code"]) == (404, "project-not-found")


def test_a_quota_stops_its_user_alone(client: TestClient, ann: Person, bob: Person) -> None:
    path = f"/v1/users/{ann.id}/quota"
    assert client.put(path, json={"seconds": 0.0}).json()["quota_seconds"] == 0
    refused = ann.client.post("/v1/experiments", json=SMALL_STUDY)
    assert (refused.status_code, refused.json()["code"]) == (409, "quota-exceeded")
    assert bob.client.post("/v1/experiments", json=SMALL_STUDY).status_code == 202
    client.put(path, json={"seconds": None})
    assert ann.client.post("/v1/experiments", json=SMALL_STUDY).status_code == 202


def test_people_see_their_own_use_and_maintainers_everybodys(
    client: TestClient, ann: Person, bob: Person
) -> None:
    for person in (ann, bob):
        client.put(f"/v1/users/{person.id}/quota", json={"seconds": 9.0})
    assert [row["owner"] for row in ann.client.get("/v1/usage").json()] == ["ann"]
    assert {row["owner"] for row in client.get("/v1/usage").json()} == {"ann", "bob"}


def test_holds_and_priorities_are_changed_over_rest(client: TestClient, submitted: str) -> None:
    assert client.post(f"{submitted}:hold").json()["is_held"]
    assert not client.post(f"{submitted}:release").json()["is_held"]
    etag = client.get(submitted).headers["ETag"]
    body = {"priority": "interactive"}
    missing = client.patch(submitted, json=body)
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition-required")
    first = client.patch(submitted, json=body, headers={"If-Match": etag})
    assert (first.status_code, first.json()["priority"]) == (200, "interactive")
    stale = client.patch(submitted, json=body, headers={"If-Match": etag})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition-failed")
    weak = client.get(submitted).headers["ETag"]
    assert client.patch(submitted, json=body, headers={"If-Match": f"W/{weak}"}).status_code == 412
