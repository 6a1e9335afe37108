"""Requests are repeated while the service is away, and never done twice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID, uuid4

import httpx
import pytest

from replicalab.client.lab import Lab
from replicalab.domain.specs import ExperimentSpec
from replicalab.errors import (
    ArtifactCorrupt,
    DatabaseUnavailable,
    ExperimentNotFound,
    InvalidRequest,
    ReplicaLabError,
    ServiceUnreachable,
    Unavailable,
)
from replicalab.refusals import Forbidden, TooManyRequests
from tests.unit.client.conftest import FakeTime, Service

LabOf = Callable[[Service], Lab]

SPEC = ExperimentSpec(name="study", t_re=(0, 9))
REFUSED = httpx.ConnectError("Connection refused")


def problem(status: int, slug: str, **more: object) -> httpx.Response:
    body = {"type": f"/problems/{slug}", "title": "Title", "status": status, "detail": "Why."}
    headers = {"Content-Type": "application/problem+json"}
    return httpx.Response(status, json=body | more, headers=headers)


def accepted() -> httpx.Response:
    return httpx.Response(
        202,
        json={
            "id": str(uuid4()),
            "owner": "lab",
            "state": "queued",
            "spec": SPEC.model_dump(mode="json"),
            "created_at": "2026-01-01T00:00:00Z",
            "ended_at": None,
            "progress": {
                "tasks_total": 9,
                "tasks_done": 0,
                "fraction": 0.0,
                "stage": "",
                "eta_seconds": None,
            },
            "reused_tasks": 0,
            "a_field_of_a_later_version": 1,
        },
    )


@pytest.mark.parametrize(
    "failure",
    [
        REFUSED,
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        problem(503, "database-unavailable"),
        httpx.Response(502, text="<html>Bad gateway</html>"),
        httpx.Response(429),
    ],
)
def test_a_submission_is_repeated_under_one_key(
    lab_of: LabOf, failure: httpx.Response | Exception
) -> None:
    service = Service([failure, failure, accepted()])
    lab_of(service).submit(SPEC)
    keys = {request.headers["Idempotency-Key"] for request in service.requests}
    assert (len(service.requests), len(keys)) == (3, 1)


def test_every_submission_has_a_key_of_its_own(lab_of: LabOf) -> None:
    service = Service([accepted()])
    lab = lab_of(service)
    lab.submit(SPEC)
    lab.submit(SPEC)
    lab.submit(SPEC, idempotency_key="mine")
    first, second, third = (request.headers["Idempotency-Key"] for request in service.requests)
    assert first != second
    assert third == "mine"


def test_patience_is_bounded(lab_of: LabOf, time: FakeTime) -> None:
    service = Service([REFUSED])
    with pytest.raises(ServiceUnreachable, match="Connection refused"):
        lab_of(service).get(uuid4())
    assert 10 < time.now <= 60
    assert max(time.sleeps) <= 5
    assert len(service.requests) == len(time.sleeps) + 1


def test_the_service_says_how_long_to_wait(lab_of: LabOf, time: FakeTime) -> None:
    busy = problem(503, "unavailable")
    busy.headers["Retry-After"] = "7"
    lab_of(Service([busy, accepted()])).get(uuid4())
    assert time.sleeps == [7]


def test_a_limit_is_waited_for_and_not_run_into_again(lab_of: LabOf, time: FakeTime) -> None:
    limited = problem(429, "too-many-requests", retry_after_seconds=7)
    limited.headers["Retry-After"] = "7"
    lab_of(Service([limited, limited, accepted()])).get(uuid4())
    assert time.sleeps == [7, 7]


def test_a_limit_beyond_all_patience_is_told_at_once(lab_of: LabOf, time: FakeTime) -> None:
    limited = problem(429, "too-many-requests", retry_after_seconds=900)
    limited.headers["Retry-After"] = "900"
    with pytest.raises(TooManyRequests):
        lab_of(Service([limited])).get(uuid4())
    assert time.sleeps == []


@pytest.mark.parametrize(
    "value",
    [
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 -0000",
        "soon",
        "-1",
        "\u0663",
    ],
)
def test_what_says_no_time_to_come_is_no_time_to_wait(
    lab_of: LabOf, time: FakeTime, value: str
) -> None:
    busy = httpx.Response(503, headers={b"Retry-After": value.encode()})
    lab_of(Service([busy, accepted()])).get(uuid4())
    assert time.sleeps[0] <= 1


def test_a_proxy_may_say_until_when_to_wait(lab_of: LabOf, time: FakeTime) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    busy = httpx.Response(503, headers={"Retry-After": until})
    lab_of(Service([busy, accepted()])).get(uuid4())
    assert 20 < time.sleeps[0] <= 50


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(404, "experiment-not-found"), ExperimentNotFound),
        (problem(502, "artifact-corrupt"), ArtifactCorrupt),
        (problem(422, "invalid-request"), InvalidRequest),
        (problem(422, "slug-of-a-later-version"), InvalidRequest),
        (httpx.Response(403, text="no"), Forbidden),
        (httpx.Response(307, headers={"Location": "http://elsewhere"}), InvalidRequest),
    ],
)
def test_what_will_not_get_better_is_not_repeated(
    lab_of: LabOf, answer: httpx.Response, error: type[ReplicaLabError]
) -> None:
    service = Service([answer])
    with pytest.raises(ReplicaLabError) as caught:
        lab_of(service).get(uuid4())
    assert type(caught.value) is error
    assert len(service.requests) == 1


def test_a_problem_keeps_its_detail_and_findings(lab_of: LabOf) -> None:
    item = {"in": "body", "pointer": "/t_re", "code": "too-few-items", "detail": "too few"}
    answer = problem(422, "invalid-request", errors=[item], request_id="r-1", checks={"a": 1})
    with pytest.raises(InvalidRequest) as caught:
        lab_of(Service([answer])).validate(SPEC)
    assert caught.value.detail == "Why."
    assert caught.value.extensions["errors"] == [item]
    assert caught.value.extensions["request_id"] == "r-1"
    assert caught.value.extensions["checks"] == {"a": 1}


def test_a_problem_of_an_outage_is_typed(lab_of: LabOf) -> None:
    with pytest.raises(DatabaseUnavailable):
        lab_of(Service([problem(503, "database-unavailable")])).get(uuid4())
    with pytest.raises(Unavailable):
        lab_of(Service([httpx.Response(504)])).get(uuid4())


@pytest.mark.parametrize("experiment", ["", "../tokens", "nonsense", f"{UUID(int=1)}/results"])
def test_what_is_no_id_is_never_sent(lab_of: LabOf, experiment: str) -> None:
    service = Service([accepted()])
    with pytest.raises(ValueError, match="UUID"):
        lab_of(service).get(experiment)
    assert service.requests == []


def test_a_service_that_stays_away_is_told_of_once(
    lab_of: LabOf, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ServiceUnreachable):
        list(lab_of(Service([REFUSED])).list())
    left = 60 - sum(time.sleeps[:3])
    assert caplog.messages == [
        f"http://lab does not answer: Connection refused; trying again for {left:.0f} s"
    ]


def test_a_restart_is_not_worth_a_word(lab_of: LabOf, caplog: pytest.LogCaptureFixture) -> None:
    lab_of(Service([REFUSED, REFUSED, accepted()])).submit(SPEC)
    assert not caplog.messages


def test_a_key_that_no_header_holds_is_refused(lab_of: LabOf) -> None:
    service = Service([accepted()])
    with pytest.raises(InvalidRequest, match="é"):
        lab_of(service).submit(SPEC, idempotency_key="é")
    assert not service.requests


def test_a_request_that_http_forbids_is_not_tried_again(lab_of: LabOf, time: FakeTime) -> None:
    service = Service([httpx.LocalProtocolError("Illegal header value b'a\\nb'")])
    with pytest.raises(InvalidRequest, match="Illegal header value"):
        list(lab_of(service).list())
    assert len(service.requests) == 1
    assert time.sleeps == []
