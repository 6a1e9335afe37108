"""Measurements as JSON and as a table."""

import csv
import io
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from replicalab.domain.resources import Results
from replicalab.domain.tasks import Queue

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
def measured(client: TestClient, submitted: str, run_one_task: Callable[[Queue], str]) -> str:
    run_one_task(Queue.WORKER)
    return f"{submitted}/results"


def test_results_say_whether_more_will_come(
    client: TestClient, submitted: str, run_all_tasks: Callable[[], None]
) -> None:
    assert client.get(f"{submitted}/results").json()["items"] == []
    run_all_tasks()
    results = Results.model_validate_json(client.get(f"{submitted}/results").content)
    assert results.is_complete
    assert len(results.items) == len(client.get(f"{submitted}/tasks").json())


@pytest.mark.parametrize(
    ("query", "accept"), [("?format=csv", "*/*"), ("", "text/csv"), ("?format=csv", "text/html")]
)
def test_results_as_a_table(client: TestClient, measured: str, query: str, accept: str) -> None:
    response = client.get(f"{measured}{query}", headers={"Accept": accept})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"].startswith('attachment; filename="results-')
    (row,) = csv.DictReader(io.StringIO(response.text))
    assert (row["name"], row["value"], row["unit"], row["n"]) == ("accuracy", "0.5", "1", "3")
    assert (row["interval_low"], row["interval_high"]) == ("0.25", "0.75")
    assert row["n_unit"] == "seeds"


def test_the_query_wins_over_the_header(client: TestClient, measured: str) -> None:
    response = client.get(f"{measured}?format=json", headers={"Accept": "text/csv"})
    assert response.headers["content-type"] == "application/json"
