"""Whatever stands in an address, a header or a query string, the answer says why."""

from uuid import UUID

import pytest
from fastapi.testclient import TestClient

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

KEY = "0" * 64
UNKNOWN = UUID(int=1)


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("limit=nan", "/limit", "wrong-type"),
        ("limit=1e2", "/limit", "wrong-type"),
        ("limit=0", "/limit", "out-of-range"),
        ("limit=-1", "/limit", "out-of-range"),
        ("limit=201", "/limit", "out-of-range"),
        ("limit=" + "9" * 5000, "/limit", "out-of-range"),
        ("limit=", "/limit", "wrong-type"),
        ("cursor=forged", "/cursor", "invalid-cursor"),
        ("cursor=" + "A" * 1000, "/cursor", "too-long"),
        ("state=unknown", "/state", "unknown-choice"),
        ("name=%00", "/name", "invalid-value"),
        ("name=" + "x" * 121, "/name", "too-long"),
        ("name=%E2%80%AE", "/name", "invalid-value"),
        ("colour=red", "/colour", "extra-field"),
        ("sort=-name", "/sort", "extra-field"),
    ],
)
def test_a_wrong_query_is_pointed_at(
    client: TestClient, query: str, pointer: str, code: str
) -> None:
    response = client.get(f"/v1/experiments?{query}")
    assert response.status_code == 422
    found = [(item["in"], item["pointer"], item["code"]) for item in response.json()["errors"]]
    assert found == [("query", pointer, code)]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("nonsense", "/experiment_id"),
        ("nonsense/tasks", "/experiment_id"),
        (f"{UNKNOWN}x/results", "/experiment_id"),
        ("%00", "/experiment_id"),
        (f"{UNKNOWN}/artifacts/{KEY[:-1]}/a.json", "/task_key"),
        (f"{UNKNOWN}/artifacts/{KEY[:-1]}G/a.json", "/task_key"),
        (f"{UNKNOWN}/artifacts/{KEY}/..%5C..%5Cpasswd", "/name"),
        (f"{UNKNOWN}/artifacts/{KEY}/.hidden", "/name"),
        (f"{UNKNOWN}/artifacts/{KEY}/{'a' * 129}", "/name"),
        (f"{UNKNOWN}/artifacts/{KEY}/a%0Ab", "/name"),
    ],
)
def test_a_wrong_path_is_pointed_at(client: TestClient, path: str, pointer: str) -> None:
    response = client.get(f"/v1/experiments/{path}")
    assert response.status_code == 422
    found = [(item["in"], item["pointer"]) for item in response.json()["errors"]]
    assert found == [("path", pointer)]


@pytest.mark.parametrize("value", ["-1", "x", "1.5", str(2**63), "nan", ""])
def test_a_wrong_last_event_id_is_pointed_at(
    client: TestClient, submitted: str, value: str
) -> None:
    response = client.get(f"{submitted}/events", headers={"Last-Event-ID": value})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/last-event-id"


@pytest.mark.parametrize("query", ["wait=31", "wait=-1", "wait=nan", "wait=0.5", "weight=1"])
def test_a_wrong_wait_is_refused(client: TestClient, submitted: str, query: str) -> None:
    assert client.get(f"{submitted}?{query}").status_code == 422


@pytest.mark.parametrize("route", ["/results?format=xml", "/results?format=", "/events?after=-1"])
def test_other_wrong_queries_are_refused(client: TestClient, submitted: str, route: str) -> None:
    assert client.get(f"{submitted}{route}").status_code == 422


def test_actions_are_no_pages(client: TestClient, submitted: str) -> None:
    response = client.get(f"{submitted}:cancel")
    assert (response.status_code, response.headers["allow"]) == (405, "OPTIONS, POST")
    assert client.post(f"{submitted}:nothing").status_code == 404
    assert client.delete(submitted).headers["allow"] == "GET, HEAD, OPTIONS, PATCH"
    assert client.delete("/v1/experiments").headers["allow"] == "GET, HEAD, OPTIONS, POST"
