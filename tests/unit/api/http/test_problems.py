"""Every failure leaves the gateway as a problem document."""

import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from replicalab.domain.resources import ProblemRead
from replicalab_api.http.pages import errors_by_slug, problem_page
from tests.unit.api.http.conftest import SECRET

DOCS = Path(__file__).parents[4] / "docs" / "problems"


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/echo/3/", 404, "not-found"),
        ("GET", "/../etc/passwd", 404, "not-found"),
        ("GET", "/echo/nan", 422, "invalid-request"),
        ("GET", "/echo/1.5", 422, "invalid-request"),
        ("GET", "/echo/%00", 422, "invalid-request"),
        ("GET", "/echo/" + "9" * 5000, 422, "invalid-request"),
        ("GET", "/problems/nothing", 404, "not-found"),
        ("PATCH", "/echo", 405, "method-not-allowed"),
        ("DELETE", "/echo", 500, "internal-error"),
        ("PUT", "/echo", 503, "database-unavailable"),
    ],
)
def test_problem(client: TestClient, method: str, path: str, status: int, slug: str) -> None:
    response = client.request(method, path)
    assert response.headers["content-type"] == "application/problem+json"
    problem = ProblemRead.model_validate_json(response.content)
    assert (response.status_code, problem.status) == (status, status)
    assert (problem.type, problem.code) == (f"/problems/{slug}", slug)
    assert problem.request_id == response.headers["x-request-id"]
    assert client.get(problem.type).status_code == 200


def test_the_methods_of_every_route_of_a_path_are_allowed(client: TestClient) -> None:
    assert client.patch("/echo").headers["allow"] == "DELETE, OPTIONS, POST, PUT"
    assert client.patch("/echo/3").headers["allow"] == "GET, HEAD, OPTIONS"


def test_options_tells_the_methods(client: TestClient) -> None:
    response = client.options("/echo/3")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


def test_head_is_get_without_a_body(client: TestClient) -> None:
    head, get = client.head("/echo/3"), client.get("/echo/3")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_a_failure_tells_the_log_everything_and_the_caller_nothing(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.delete("/echo")
    assert SECRET not in response.text
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert SECRET in caplog.text
    assert record.__dict__["request_id"] == response.json()["request_id"]


def test_what_a_dependency_says_is_for_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.put("/echo")
    assert SECRET not in response.text
    assert SECRET in caplog.text
    assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize("slug", errors_by_slug())
def test_every_problem_has_the_same_page_here_and_in_the_docs(
    anonymous: TestClient, slug: str
) -> None:
    page = problem_page(errors_by_slug()[slug])
    assert (DOCS / f"{slug}.md").read_text(encoding="utf-8") == page, (
        "run python -m replicalab_api.http.pages docs/problems"
    )
    response = anonymous.get(f"/problems/{slug}")
    assert (response.status_code, response.text) == (200, page)
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"


def test_the_docs_have_no_page_of_a_problem_that_is_gone() -> None:
    assert {page.stem for page in DOCS.glob("*.md")} == set(errors_by_slug())


def test_every_error_says_when_it_happens_and_what_to_do() -> None:
    for error in errors_by_slug().values():
        assert error.__doc__, error
        assert error.title[0].isupper(), error
        assert error.remedy.endswith("."), error
