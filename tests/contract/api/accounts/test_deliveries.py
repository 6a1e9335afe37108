"""Deliveries to a real receiver: signed, written with the change, tried again, given up."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from replicalab.db.accounts import MembershipRow
from replicalab.db.database import Database
from replicalab.db.models import ExperimentRow
from replicalab.db.webhooks import DeliveryRow
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.states import ExperimentState
from replicalab_api.identity.token_text import Pepper
from replicalab_api.settings import WebhookSettings
from replicalab_api.webhooks.deliverer import Deliverer
from replicalab_api.webhooks.outbox import Outbox, Outcome, Retries
from replicalab_api.webhooks.signatures import WebhookSecrets
from tests.contract.api.accounts.conftest import PassTime, Person
from tests.contract.api.conftest import LOOPBACK, PEPPER
from tests.fixtures.certificates import write_certificate
from tests.fixtures.receivers import (
    Answer,
    Receiver,
    Told,
    endless,
    nothing,
    receiving,
    status,
    trickling,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

DOCS = Path(__file__).parents[4] / "docs" / "webhooks.md"
RETRIES = Retries(first_seconds=10, most_seconds=100, attempts=4)
ALLOWED = WebhookSettings(networks=LOOPBACK, may_use_http=True, timeout_seconds=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def deliverer_of(database: Database, settings: WebhookSettings = ALLOWED) -> Deliverer:
    return Deliverer(Outbox(database, RETRIES), WebhookSecrets(Pepper(PEPPER)), settings)


@pytest.fixture
def deliverer(database: Database) -> Deliverer:
    return deliverer_of(database)


@pytest.fixture
def webhook(ann: Person, receiver: Receiver) -> dict[str, Any]:
    """Ann's, told of everything in the default project."""
    created: dict[str, Any] = ann.client.post("/v1/webhooks", json={"url": receiver.url}).json()
    return created


def deliveries(person: Person, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.client.get(
        f"/v1/webhooks/{webhook['id']}/deliveries"
    ).json()
    return found


def seconds_left(database: Database) -> float:
    """Until the next attempt at the one delivery there is."""
    left = sa.extract("epoch", DeliveryRow.next_at - sa.func.rl_now())
    with database.transaction() as session:
        return float(session.execute(sa.select(left)).scalar_one())


def verified(secret: str, told: Told) -> dict[str, Any]:
    """The body, if the reference implementation of the specification trusts it."""
    body: dict[str, Any] = Webhook(secret).verify(told.body, told.headers)
    return body


def test_the_end_of_an_experiment_is_told_signed(
    client: TestClient,
    submitted: str,
    run_all_tasks: Callable[[], None],
    webhook: dict[str, Any],
    receiver: Receiver,
    deliverer: Deliverer,
    ann: Person,
) -> None:
    assert deliverer.deliver_due() == 0
    run_all_tasks()
    assert deliverer.deliver_due() == 1
    assert deliverer.deliver_due() == 0
    (told,) = receiver.told
    body = verified(webhook["secret"], told)
    experiment = client.get(submitted).json()
    assert body["type"] == "experiment.succeeded"
    assert body["data"] == {
        "experiment_id": experiment["id"],
        "project_id": experiment["project_id"],
        "name": experiment["spec"]["name"],
        "kind": "replication",
        "owner": "lab",
        "state": "succeeded",
    }
    (delivery,) = deliveries(ann, webhook)
    assert told.headers["webhook-id"] == f"msg_{UUID(delivery['id']).hex}"
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("delivered", 1, 204)
    assert (told.path, told.headers["content-type"]) == ("/hook", "application/json")


@pytest.mark.parametrize("state", ["failed", "needs-attention", "cancelled", "succeeded"])
def test_a_change_and_its_deliveries_are_one_transaction(
    database: Database, submitted: str, webhook: dict[str, Any], ann: Person, state: str
) -> None:
    experiment = UUID(submitted.rpartition("/")[2])

    def change() -> None:
        with database.transaction() as session:
            row, now = session.get_one(ExperimentRow, experiment), sa.func.rl_now()
            row.state = ExperimentState(state)
            row.ended_at = now if row.state.is_terminal else None
            row.cancelled_at = now if row.state is ExperimentState.CANCELLED else None
            session.flush()
            if is_undone:
                raise RuntimeError("undone")

    is_undone = True
    with pytest.raises(RuntimeError, match="undone"):
        change()
    assert deliveries(ann, webhook) == []
    is_undone = False
    change()
    assert [one["event"] for one in deliveries(ann, webhook)] == [f"experiment.{state}"]
    change()
    assert len(deliveries(ann, webhook)) == 1, "the state did not change again"


def test_only_what_was_asked_for_is_told(
    client: TestClient, ann: Person, receiver: Receiver, submitted: str, deliverer: Deliverer
) -> None:
    other = client.post("/v1/experiments", json=client.get(submitted).json()["spec"]).json()["id"]
    wanted = {
        "failures": {"events": ["experiment.failed"]},
        "other": {"experiment_id": other},
        "this": {"experiment_id": submitted.rpartition("/")[2]},
    }
    for name, body in wanted.items():
        made = ann.client.post("/v1/webhooks", json=body | {"url": f"{receiver.url}/{name}"})
        assert made.status_code == 201
    client.post(f"{submitted}:cancel")
    deliverer.deliver_due()
    assert [told.path for told in receiver.told] == ["/hook/this"]


@pytest.mark.parametrize("loss", ["membership", "account"])
def test_who_has_lost_the_project_is_told_nothing_more(
    client: TestClient,
    database: Database,
    ann: Person,
    submitted: str,
    webhook: dict[str, Any],
    deliverer: Deliverer,
    loss: str,
) -> None:
    if loss == "account":
        client.patch(f"/v1/users/{ann.id}", json={"is_disabled": True})
    else:
        with database.transaction() as session:
            row = session.get_one(MembershipRow, (DEFAULT_PROJECT_ID, ann.id))
            session.delete(row)
    client.post(f"{submitted}:cancel")
    assert deliverer.deliver_due() == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(500), "500"),
        (status(400), "400"),
        (status(302, Location="http://127.0.0.1:9/elsewhere"), "302"),
        (nothing, "RemoteProtocolError"),
        (trickling, "No answer in 1 s"),
    ],
)
def test_what_is_not_taken_is_tried_again_with_the_same_id(
    answer: Answer,
    error: str,
    webhook: dict[str, Any],
    receiver: Receiver,
    deliverer: Deliverer,
    ann: Person,
    pass_time: PassTime,
) -> None:
    receiver.answers = [answer, status(200)]
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    began = time.monotonic()
    assert deliverer.deliver_due() == 1
    assert time.monotonic() - began < 5
    (failed,) = deliveries(ann, webhook)
    assert (failed["state"], failed["attempts"]) == ("pending", 1)
    assert error in failed["error"]
    assert len(receiver.told) == 1, "a redirect is not followed"
    pass_time(timedelta(seconds=11))
    assert deliverer.deliver_due() == 1
    first, second = receiver.told
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    verified(webhook["secret"], second)
    assert deliveries(ann, webhook)[0]["state"] == "delivered"


def test_an_endless_answer_is_not_read(
    webhook: dict[str, Any], receiver: Receiver, deliverer: Deliverer, ann: Person
) -> None:
    receiver.answers = [endless]
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    began = time.monotonic()
    deliverer.deliver_due()
    assert time.monotonic() - began < 5
    assert deliveries(ann, webhook)[0]["state"] == "delivered"


def test_after_the_last_attempt_it_is_dead_and_can_be_told_again(
    webhook: dict[str, Any],
    receiver: Receiver,
    deliverer: Deliverer,
    ann: Person,
    pass_time: PassTime,
) -> None:
    receiver.answers = [status(500)] * RETRIES.attempts + [status(200)]
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    for attempt in range(RETRIES.attempts):
        pass_time(timedelta(seconds=101 * attempt))
        assert deliverer.deliver_due() == 1
    (dead,) = deliveries(ann, webhook)
    assert (dead["state"], dead["attempts"], dead["status"]) == ("dead", 4, 500)
    assert dead["next_at"] is None
    pass_time(timedelta(days=1))
    assert deliverer.deliver_due() == 0
    path = f"/v1/webhooks/{webhook['id']}/deliveries/{dead['id']}:redeliver"
    assert ann.client.post(path).json()["state"] == "pending"
    assert deliverer.deliver_due() == 1
    assert deliveries(ann, webhook)[0]["state"] == "delivered"
    assert len({told.headers["webhook-id"] for told in receiver.told}) == 1


def test_waits_grow_with_full_jitter_up_to_a_bound(
    database: Database, webhook: dict[str, Any], ann: Person
) -> None:
    assert [RETRIES.bound_seconds(n) for n in (1, 2, 3, 4, 5, 9)] == [10, 20, 40, 80, 100, 100]
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    outbox = Outbox(database, Retries(first_seconds=100, most_seconds=100, attempts=1000))
    waits = []
    for _ in range(30):
        with database.transaction() as session:
            session.execute(sa.update(DeliveryRow).values(next_at=sa.func.rl_now()))
        (due,) = outbox.take(1)
        outbox.settle(due, Outcome(status=500, error="no"))
        waits.append(seconds_left(database))
    assert min(waits) < 30
    assert max(waits) > 70
    assert all(-1 < wait < 100 for wait in waits)


def test_a_receiver_may_ask_for_a_longer_wait(
    database: Database,
    webhook: dict[str, Any],
    receiver: Receiver,
    deliverer: Deliverer,
    ann: Person,
) -> None:
    receiver.answers = [status(503, Retry_After="90")]
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    deliverer.deliver_due()
    assert 80 < seconds_left(database) <= 90


def test_a_receiver_that_is_gone_is_told_nothing_more(
    webhook: dict[str, Any],
    receiver: Receiver,
    deliverer: Deliverer,
    ann: Person,
) -> None:
    receiver.answers = [status(410)]
    path = f"/v1/webhooks/{webhook['id']}"
    first = ann.client.post(f"{path}:test").json()["id"]
    ann.client.post(f"{path}:test")
    assert deliverer.deliver_due() == 1
    assert deliverer.deliver_due() == 0
    assert "410" in ann.client.get(path).json()["disabled_reason"]
    assert {one["state"] for one in deliveries(ann, webhook)} == {"dead"}
    for route in (":test", f"/deliveries/{first}:redeliver"):
        response = ann.client.post(path + route)
        assert (response.status_code, response.json()["code"]) == (409, "illegal-transition")


def test_after_a_rotation_both_secrets_are_good_for_a_day(
    webhook: dict[str, Any],
    receiver: Receiver,
    deliverer: Deliverer,
    ann: Person,
    pass_time: PassTime,
) -> None:
    path = f"/v1/webhooks/{webhook['id']}"
    new = ann.client.post(f"{path}:rotate").json()["secret"]
    ann.client.post(f"{path}:test")
    deliverer.deliver_due()
    pass_time(timedelta(hours=25))
    ann.client.post(f"{path}:test")
    deliverer.deliver_due()
    early, late = receiver.told
    assert verified(webhook["secret"], early) == verified(new, early)
    verified(new, late)
    with pytest.raises(WebhookVerificationError):
        verified(webhook["secret"], late)


@pytest.mark.parametrize("change", ["body", "webhook-id", "webhook-timestamp"])
def test_whatever_is_changed_on_the_way_is_noticed(
    webhook: dict[str, Any], receiver: Receiver, deliverer: Deliverer, ann: Person, change: str
) -> None:
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    deliverer.deliver_due()
    (told,) = receiver.told
    body, headers = told.body, dict(told.headers)
    if change == "body":
        body = json.dumps(json.loads(body) | {"type": "experiment.succeeded"}).encode()
    elif change == "webhook-id":
        headers[change] = "msg_another"
    else:
        headers[change] = str(int(headers[change]) - 1)
    with pytest.raises(WebhookVerificationError):
        verified(webhook["secret"], Told(told.path, headers, body))


def test_the_code_of_the_docs_tells_right_from_wrong(
    webhook: dict[str, Any], receiver: Receiver, deliverer: Deliverer, ann: Person
) -> None:
    text = DOCS.read_text(encoding="utf-8")
    code = text.partition("<!-- verification")[2].partition("```python\n")[2].partition("```")[0]
    shown: dict[str, Any] = {}
    exec(code, shown)  # noqa: S102 - it is ours
    is_from_the_lab = shown["is_from_the_lab"]
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    deliverer.deliver_due()
    (told,) = receiver.told
    assert is_from_the_lab(webhook["secret"], told.headers, told.body)
    assert not is_from_the_lab(webhook["secret"], told.headers, told.body + b" ")
    old = told.headers | {"webhook-timestamp": str(int(told.headers["webhook-timestamp"]) - 301)}
    assert not is_from_the_lab(webhook["secret"], old, told.body)
    other = ann.client.post("/v1/webhooks", json={"url": receiver.url}).json()
    assert not is_from_the_lab(other["secret"], told.headers, told.body)


def test_two_deliverers_send_once(
    database: Database, webhook: dict[str, Any], receiver: Receiver, ann: Person
) -> None:
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    two = [deliverer_of(database) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(Deliverer.deliver_due, two)) == 1
    assert len(receiver.told) == 1


def test_what_a_dead_deliverer_took_is_due_again(
    database: Database,
    webhook: dict[str, Any],
    receiver: Receiver,
    deliverer: Deliverer,
    ann: Person,
    pass_time: PassTime,
) -> None:
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    (taken,) = Outbox(database, RETRIES).take(1)
    assert deliverer.deliver_due() == 0
    pass_time(timedelta(seconds=61))
    assert deliverer.deliver_due() == 1
    Outbox(database, RETRIES).settle(taken, Outcome(error="late"))
    (delivery,) = deliveries(ann, webhook)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)


def test_one_receiver_does_not_hold_up_another(
    ann: Person, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.answers = [trickling, status(200)]
    paths = []
    for name in ("a", "b"):
        made = ann.client.post("/v1/webhooks", json={"url": f"{receiver.url}/{name}"})
        paths.append(f"/v1/webhooks/{made.json()['id']}")
    for path in paths * 2:
        ann.client.post(f"{path}:test")
    assert deliverer.deliver_due() == 2
    states = sorted(
        delivery["state"]
        for path in paths
        for delivery in ann.client.get(f"{path}/deliveries").json()
    )
    assert states == ["delivered", "pending", "pending", "pending"]


def test_an_address_that_is_not_allowed_any_more_is_not_told(
    database: Database, webhook: dict[str, Any], receiver: Receiver, ann: Person
) -> None:
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    for settings in (
        WebhookSettings(may_use_http=True, timeout_seconds=1),
        WebhookSettings(networks=LOOPBACK, timeout_seconds=1),
    ):
        with database.transaction() as session:
            session.execute(sa.update(DeliveryRow).values(next_at=sa.func.rl_now()))
        assert deliverer_of(database, settings).deliver_due() == 1
    assert receiver.told == []
    assert deliveries(ann, webhook)[0]["state"] == "pending"


@pytest.mark.parametrize(("host", "is_told"), [("localhost", True), ("elsewhere.example", False)])
def test_a_certificate_must_be_for_the_name_though_the_address_is_pinned(
    database: Database, ann: Person, tmp_path: Path, host: str, is_told: bool
) -> None:
    certificate = write_certificate(tmp_path / "both.pem", host)
    settings = ALLOWED.model_copy(update={"ca_file": certificate, "may_use_http": False})
    with receiving(certificate) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        made = ann.client.post("/v1/webhooks", json={"url": url}).json()
        ann.client.post(f"/v1/webhooks/{made['id']}:test")
        deliverer_of(database, settings).deliver_due()
        assert bool(receiver.told) is is_told
        if is_told:
            assert receiver.told[0].headers["host"] == url.split("/")[2]
            verified(made["secret"], receiver.told[0])
        else:
            assert "certificate" in deliveries(ann, made)[0]["error"].lower()


def test_it_delivers_in_the_background_until_it_is_stopped(
    webhook: dict[str, Any], receiver: Receiver, deliverer: Deliverer, ann: Person
) -> None:
    deliverer.start()
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    deadline = time.monotonic() + 10
    while not receiver.told and time.monotonic() < deadline:
        time.sleep(0.05)
    deliverer.stop()
    deliverer.join(timeout=10)
    assert not deliverer.is_alive()
    assert len(receiver.told) == 1


def test_old_deliveries_are_forgotten(
    database: Database,
    webhook: dict[str, Any],
    deliverer: Deliverer,
    ann: Person,
    pass_time: PassTime,
) -> None:
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    deliverer.deliver_due()
    ann.client.post(f"/v1/webhooks/{webhook['id']}:test")
    pass_time(timedelta(days=31))
    Outbox(database).forget_old()
    assert [one["state"] for one in deliveries(ann, webhook)] == ["pending"]
