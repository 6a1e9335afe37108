"""Submitting, looking and cancelling over REST."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from replicalab.domain.resources import ExperimentRead
from replicalab_api.experiments.examples import BODIES, SMALL_STUDY

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.mark.parametrize("name", BODIES)
def test_every_example_of_the_description_is_accepted(client: TestClient, name: str) -> None:
    body = BODIES[name]["value"]
    plan = client.post("/v1/experiments:validate", json=body).json()
    assert plan["cache_hits"] == 0
    response = client.post("/v1/experiments", json=body)
    assert response.status_code == 202
    experiment = ExperimentRead.model_validate_json(response.content)
    assert experiment.progress.tasks_total == len(plan["tasks"])
    assert response.headers["Location"] == f"/v1/experiments/{experiment.id}"


def test_validating_leaves_nothing_behind(client: TestClient) -> None:
    client.post("/v1/experiments:validate", json=SMALL_STUDY)
    assert client.get("/v1/experiments").json() == {"items": [], "next_cursor": None}


def test_what_was_submitted_is_what_is_shown(client: TestClient, submitted: str) -> None:
    shown = client.get(submitted).json()
    assert shown["owner"] == "lab"
    assert shown["state"] == "queued"
    assert {name: shown["spec"][name] for name in SMALL_STUDY} == SMALL_STUDY


def test_the_same_key_and_body_are_answered_and_not_done_again(client: TestClient) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first = client.post("/v1/experiments", json=SMALL_STUDY, headers=headers)
    again = client.post("/v1/experiments", json=SMALL_STUDY, headers=headers)
    assert again.status_code == first.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(client.get("/v1/experiments").json()["items"]) == 1


def test_the_same_key_with_another_body_is_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    client.post("/v1/experiments", json=SMALL_STUDY, headers=headers)
    other = client.post("/v1/experiments", json=SMALL_STUDY | {"t_re": [0, 3]}, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"] == "/problems/idempotency-conflict"


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "caf\xe9"])
def test_a_malformed_key_is_refused(client: TestClient, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    response = client.post("/v1/experiments", json=SMALL_STUDY, headers=headers)
    assert response.status_code == 400
    assert response.json()["code"] == "invalid-idempotency-key"


def test_pages_lead_through_every_experiment_once(client: TestClient) -> None:
    ids = [client.post("/v1/experiments", json=SMALL_STUDY).json()["id"] for _ in range(5)]
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = client.get("/v1/experiments", params=query).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ids[::-1]


def test_lists_can_be_narrowed(client: TestClient, submitted: str) -> None:
    client.post("/v1/experiments", json=SMALL_STUDY | {"name": "another 100% study"})
    client.post(f"{submitted}:cancel")

    def names(**query: str) -> list[str]:
        items = client.get("/v1/experiments", params=query).json()["items"]
        return [item["name"] for item in items]

    assert names(name="OTHER") == ["another 100% study"]
    assert names(name="%") == ["another 100% study"]
    assert names(state="cancelled") == [SMALL_STUDY["name"]]
    assert names(state="queued", name="digits") == []


def test_a_copy_that_is_fresh_is_not_sent_again(client: TestClient, submitted: str) -> None:
    etag = client.get(submitted).headers["ETag"]
    again = client.get(submitted, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    client.post(f"{submitted}:cancel")
    changed = client.get(submitted, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.json()["state"]) == (200, "cancelled")


def test_a_held_answer_comes_when_the_experiment_has_ended(
    client: TestClient, submitted: str
) -> None:
    client.post(f"{submitted}:cancel")
    assert client.get(submitted, params={"wait": 30}).json()["state"] == "cancelled"


def test_a_held_answer_comes_unchanged_when_its_time_is_over(
    client: TestClient, submitted: str
) -> None:
    assert client.get(submitted, params={"wait": 1}).json()["state"] == "queued"


def test_cancelling_twice_is_no_error(client: TestClient, submitted: str) -> None:
    assert client.post(f"{submitted}:cancel").json()["state"] == "cancelled"
    assert client.post(f"{submitted}:cancel").json()["state"] == "cancelled"


def test_what_has_succeeded_cannot_be_cancelled(
    client: TestClient, submitted: str, run_all_tasks: Callable[[], None]
) -> None:
    run_all_tasks()
    response = client.post(f"{submitted}:cancel")
    assert (response.status_code, response.json()["code"]) == (409, "illegal-transition")
    assert client.get(submitted).json()["progress"]["fraction"] == 1


def test_tasks_come_after_what_they_read(client: TestClient, submitted: str) -> None:
    keys = [task["key"] for task in client.get(f"{submitted}/tasks").json()]
    plan = client.post("/v1/experiments:validate", json=SMALL_STUDY).json()
    assert keys == [task["key"] for task in plan["tasks"]]
    assert all(task["cache"] == "shared" for task in plan["tasks"])
    for task in plan["tasks"]:
        assert all(keys.index(parent) < keys.index(task["key"]) for parent in task["parents"])


@pytest.mark.parametrize(
    "route", ["", "/tasks", "/results", "/artifacts", f"/artifacts/{'0' * 64}/x", "/events"]
)
def test_an_unknown_experiment_is_not_found(client: TestClient, route: str) -> None:
    response = client.get(f"/v1/experiments/{uuid4()}{route}")
    assert (response.status_code, response.json()["code"]) == (404, "experiment-not-found")


def test_text_is_kept_as_text(client: TestClient) -> None:
    name = "'; DROP TABLE tasks; -- <script>{{7*7}}</script> =HYPERLINK()"
    location = client.post("/v1/experiments", json=SMALL_STUDY | {"name": name}).headers["Location"]
    assert client.get(location).json()["spec"]["name"] == name
