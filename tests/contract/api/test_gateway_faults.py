"""Answers that get lost, and requests for more than anybody may ask."""

import json
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab
from replicalab.domain.specs import SPEC
from replicalab_api.experiments.examples import SMALL_STUDY
from tests.contract.api.conftest import TOKEN
from tests.fixtures import proxies

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def test_an_answer_that_is_lost_after_the_commit_is_given_again(
    server: str, client: TestClient
) -> None:
    cut = 0

    def lose_the_first(piece: bytes) -> bytes | None:
        nonlocal cut
        cut += 1
        return None if cut == 1 else piece

    spec = SPEC.validate_json(json.dumps(SMALL_STUDY))
    with (
        proxies.proxy(server, downwards=lose_the_first) as address,
        Lab(address, TOKEN, backoff=Backoff(patience_seconds=60)) as lab,
    ):
        experiment = lab.submit(spec, idempotency_key="mine")
    assert cut > 1
    (only,) = client.get("/v1/experiments").json()["items"]
    assert UUID(only["id"]) == experiment.id
    again = client.post("/v1/experiments", json=SMALL_STUDY, headers={"Idempotency-Key": "mine"})
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == only["id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("t_re", list(range(65))),
        ("classifier_seeds", list(range(33))),
        ("t_re", [0, 0]),
        ("parents", ["0" * 64]),
    ],
)
def test_more_work_than_one_specification_may_ask_for_is_refused(
    client: TestClient, field: str, value: list[object]
) -> None:
    answer = client.post("/v1/experiments", json={**SMALL_STUDY, field: value})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid-request"
