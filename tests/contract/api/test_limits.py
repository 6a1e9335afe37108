"""How often callers may ask, and what they are told."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab
from replicalab.domain.specs import ExperimentSpec
from replicalab_api.experiments.examples import SMALL_STUDY
from replicalab_api.settings import Limit, LimitSettings
from tests.contract.api.conftest import TOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

TIGHT = LimitSettings(
    reads=Limit(amount=1, seconds=60, burst=5),
    writes=Limit(amount=1, seconds=60, burst=3),
    submissions=Limit(amount=1, seconds=60, burst=2),
    reports=Limit(amount=1, seconds=60, burst=1),
    anonymous=Limit(amount=1, seconds=60, burst=4),
    streams=2,
)


@pytest.fixture
def limits() -> LimitSettings:
    return TIGHT


def statuses(ask: Callable[[], httpx.Response], number: int) -> list[int]:
    return [ask().status_code for _ in range(number)]


def test_who_asks_too_often_is_told_how_long_to_wait(client: TestClient) -> None:
    assert statuses(lambda: client.get("/v1/workers"), 5) == [200] * 5
    response = client.get("/v1/workers")
    assert (response.status_code, response.json()["code"]) == (429, "too-many-requests")
    assert response.headers["content-type"] == "application/problem+json"
    assert 50 < int(response.headers["retry-after"]) <= 60
    assert response.json()["limit"] == "reads"
    assert "Ask again in" in response.json()["detail"]


def test_every_answer_tells_what_is_left(client: TestClient) -> None:
    response = client.get("/v1/workers")
    assert response.headers["ratelimit-policy"] == '"reads";q=5;w=300'
    assert response.headers["ratelimit"] == '"reads";r=4;t=60'
    unknown = client.get("/v1/experiments/nonsense")
    assert unknown.status_code == 422
    assert unknown.headers["ratelimit"] == '"reads";r=3;t=120'


def test_kinds_of_requests_have_limits_of_their_own(client: TestClient) -> None:
    def submit() -> httpx.Response:
        response: httpx.Response = client.post("/v1/experiments", json=SMALL_STUDY)
        return response

    path = submit().headers["Location"]
    assert statuses(submit, 2) == [202, 429]
    assert statuses(lambda: client.post(f"{path}:hold"), 4) == [200] * 3 + [429]
    assert statuses(lambda: client.get(f"{path}/results"), 2) == [200, 429]
    assert statuses(lambda: client.get(path), 6) == [200] * 5 + [429]


def test_a_refused_submission_leaves_nothing_behind(client: TestClient) -> None:
    for _ in range(3):
        client.post("/v1/experiments", json=SMALL_STUDY)
    assert len(client.get("/v1/experiments").json()["items"]) == 2


def test_a_copy_that_is_fresh_costs_a_tenth(client: TestClient) -> None:
    path = client.post("/v1/experiments", json=SMALL_STUDY).headers["Location"]
    etag = client.get(path).headers["ETag"]
    fresh = {"If-None-Match": etag}
    assert statuses(lambda: client.get(path, headers=fresh), 20) == [304] * 20
    assert client.get(path).status_code == 200


def test_who_is_not_allowed_something_pays_as_well(client: TestClient) -> None:
    # The bootstrap token may do everything; a token with one scope may not.
    body = {"name": "reader", "scopes": ["read"]}
    token = client.post("/v1/tokens", json=body).json()["token"]
    reader = {"Authorization": f"Bearer {token}"}
    ask = lambda: client.post("/v1/projects", json={"name": "x"}, headers=reader)  # noqa: E731
    assert statuses(ask, 3) == [403, 403, 429]


def test_addresses_are_limited_before_it_is_known_who_asks(app: FastAPI) -> None:
    stranger = TestClient(app, headers={"Authorization": "Bearer nonsense"})
    assert statuses(lambda: stranger.get("/v1/workers"), 6) == [401] * 4 + [429] * 2
    assert TestClient(app).get("/problems/forbidden").status_code == 429
    assert TestClient(app).post("/v1/session", json={}).status_code == 429
    elsewhere = TestClient(app, client=("192.0.2.1", 1))
    assert elsewhere.get("/problems/forbidden").status_code == 200
    known = TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"})
    assert known.get("/v1/workers").status_code == 200


def test_a_whole_subnet_of_one_machine_is_one_address(app: FastAPI) -> None:
    answers = [
        TestClient(app, client=(f"2001:db8::{n:x}", 1)).get("/problems/forbidden").status_code
        for n in range(5)
    ]
    assert answers == [200] * 4 + [429]


def test_probes_are_not_limited(app: FastAPI) -> None:
    anonymous = TestClient(app)
    assert statuses(lambda: anonymous.get("/healthz"), 20) == [200] * 20
    assert statuses(lambda: anonymous.get("/readyz"), 20) == [200] * 20


@pytest.fixture
def stream_of(server: str) -> Iterator[Callable[[str], tuple[int, Callable[[], None]]]]:
    """Opens an event stream; gives its status and what closes it."""
    with ExitStack() as opened:

        def open_one(path: str) -> tuple[int, Callable[[], None]]:
            one = opened.enter_context(ExitStack())
            client = one.enter_context(httpx.Client(base_url=server, trust_env=False))
            headers = {"Authorization": f"Bearer {TOKEN}"}
            response = one.enter_context(client.stream("GET", path, headers=headers))
            return response.status_code, one.close

        yield open_one


def test_a_user_has_few_streams_open_at_once(
    submitted: str, stream_of: Callable[[str], tuple[int, Callable[[], None]]]
) -> None:
    path = f"{submitted}/events"
    (first, close), (second, _), (third, _) = (stream_of(path) for _ in range(3))
    assert (first, second, third) == (200, 200, 429)
    close()
    deadline = time.monotonic() + 10
    while (status := stream_of(path)[0]) == 429 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert status == 200


class TestClients:
    """What the SDK does of it."""

    @pytest.fixture
    def limits(self) -> LimitSettings:
        return LimitSettings(submissions=Limit(amount=2, seconds=1, burst=1))

    def test_the_sdk_waits_as_long_as_it_is_told(self, server: str) -> None:
        sleeps: list[float] = []

        def sleep(seconds: float) -> None:
            sleeps.append(seconds)
            time.sleep(seconds)

        spec = ExperimentSpec(name="often", t_re=(0, 9), classifier_seeds=(0,))
        with Lab(server, TOKEN) as plain:
            lab = Lab(client=plain._transport._client, backoff=Backoff(sleep=sleep))
            ids = {lab.submit(spec).id for _ in range(4)}
        assert len(ids) == 4
        assert len(sleeps) >= 2
        assert min(sleeps) >= 1
