"""Webhooks over REST, from Python and from the command line: whose they are, and their secrets."""

import base64
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from replicalab.cli.app import app as command_line
from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab
from replicalab.db.database import Database
from replicalab.db.webhooks import WebhookRow
from replicalab.domain.accounts import Role
from replicalab.domain.webhook_resources import WebhookEvent
from replicalab.errors import ExperimentNotFound
from replicalab.refusals import (
    DeliveryNotFound,
    ProjectNotFound,
    UnsafeWebhookUrl,
    WebhookNotFound,
)
from replicalab_api.experiments.examples import SMALL_STUDY
from tests.contract.api.accounts.conftest import Person
from tests.contract.api.conftest import TOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

URL = "http://127.0.0.1:9/hook?key=value"
AddProject = Callable[[str, dict[UUID, Role]], str]


@pytest.fixture
def lab(client: TestClient) -> Lab:
    return Lab(client=client, backoff=Backoff(patience_seconds=0))


def create(person: Person, **body: object) -> dict[str, Any]:
    response = person.client.post("/v1/webhooks", json={"url": URL} | body)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    assert response.headers["Location"] == f"/v1/webhooks/{created['id']}"
    return created


def test_the_secret_is_shown_once_and_stored_nowhere(ann: Person, database: Database) -> None:
    created = create(ann)
    secret = created.pop("secret")
    assert secret.startswith("whsec_")
    raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    assert len(raw) == 32
    assert ann.client.get(f"/v1/webhooks/{created['id']}").json() == created
    assert ann.client.get("/v1/webhooks").json() == [created]
    with database.transaction() as session:
        row = session.execute(sa.select(WebhookRow.__table__)).one()
    assert secret not in str(row)
    assert raw.hex() not in str(row)


def test_every_webhook_and_every_rotation_has_another_secret(ann: Person) -> None:
    one, other = create(ann), create(ann)
    rotated = ann.client.post(f"/v1/webhooks/{one['id']}:rotate").json()
    assert len({one["secret"], other["secret"], rotated["secret"]}) == 3


def test_everything_is_told_unless_less_is_asked_for(ann: Person) -> None:
    assert set(create(ann)["events"]) == set(WebhookEvent)
    failed = "experiment.failed"
    assert create(ann, events=[failed, failed])["events"] == [failed]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid-request"),
        ({"url": ""}, "invalid-request"),
        ({"url": 1}, "invalid-request"),
        ({"url": URL, "events": []}, "invalid-request"),
        ({"url": URL, "events": ["experiment.exploded"]}, "invalid-request"),
        ({"url": URL, "secret": "mine"}, "invalid-request"),
        ({"url": URL + "x" * 2048}, "invalid-request"),
        ({"url": "ftp://127.0.0.1/"}, "unsafe-webhook-url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "unsafe-webhook-url"),
        ({"url": "http://10.0.0.1/"}, "unsafe-webhook-url"),
        ({"url": "http://[fe80::1]/"}, "unsafe-webhook-url"),
        ({"url": "http://ann:secret@127.0.0.1/"}, "unsafe-webhook-url"),
        ({"url": "http://nothing.invalid/"}, "unsafe-webhook-url"),
    ],
)
def test_what_cannot_be_told_is_refused(ann: Person, body: dict[str, Any], code: str) -> None:
    response = ann.client.post("/v1/webhooks", json=body)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert ann.client.get("/v1/webhooks").json() == []


def test_others_in_the_project_see_it_without_the_secret_part_of_its_address(
    ann: Person, bob: Person, client: TestClient
) -> None:
    path = f"/v1/webhooks/{create(ann)['id']}"
    assert bob.client.get(path).json()["url"] == "http://127.0.0.1:9/"
    assert client.get(path).json()["url"] == URL
    assert bob.client.delete(path).status_code == 403
    assert ann.client.delete(path).status_code == 204
    assert ann.client.get(path).json()["code"] == "webhook-not-found"


def test_a_webhook_is_of_a_project_and_perhaps_of_one_of_its_experiments(
    ann: Person, bob: Person, add_project: AddProject
) -> None:
    project = add_project("anns", {ann.id: Role.RESEARCHER})
    submitted = ann.client.post("/v1/experiments", json=SMALL_STUDY, params={"project": project})
    experiment = submitted.json()["id"]
    create(ann, project_id=project, experiment_id=experiment)
    body = {"url": URL, "experiment_id": experiment}
    assert ann.client.post("/v1/webhooks", json=body).json()["code"] == "experiment-not-found"
    body = {"url": URL, "project_id": project}
    assert bob.client.post("/v1/webhooks", json=body).json()["code"] == "project-not-found"
    assert bob.client.get("/v1/webhooks").json() == []
    listed = ann.client.get("/v1/webhooks", params={"project": project}).json()
    assert [one["experiment_id"] for one in listed] == [experiment]


def test_a_project_has_a_bounded_number(ann: Person) -> None:
    for _ in range(50):
        create(ann)
    response = ann.client.post("/v1/webhooks", json={"url": URL})
    assert (response.status_code, response.json()["code"]) == (409, "too-many-webhooks")


def test_changes_are_in_the_audit_log(client: TestClient, ann: Person) -> None:
    path = f"/v1/webhooks/{create(ann)['id']}"
    ann.client.post(f"{path}:rotate")
    delivery = ann.client.post(f"{path}:test").json()["id"]
    ann.client.post(f"{path}/deliveries/{delivery}:redeliver")
    ann.client.delete(path)
    entries = client.get("/v1/audit").json()["items"][:5]
    told = [(entry["actor"], entry["action"].removeprefix("webhook.")) for entry in entries]
    assert told == [
        ("ann", action) for action in ("delete", "redeliver", "test", "rotate", "create")
    ]


def test_the_sdk_has_all_of_it(lab: Lab, client: TestClient) -> None:
    created = lab.webhooks.create(URL, events=["experiment.failed"])
    assert lab.webhooks.get(created.id).events == [WebhookEvent.FAILED]
    assert [one.id for one in lab.webhooks.list()] == [created.id]
    assert lab.webhooks.rotate(created.id).secret != created.secret
    delivery = lab.webhooks.test(created.id)
    assert [one.id for one in lab.webhooks.deliveries(created.id)] == [delivery.id]
    assert lab.webhooks.redeliver(created.id, delivery.id).attempts == 0
    with pytest.raises(DeliveryNotFound):
        lab.webhooks.redeliver(created.id, uuid4())
    lab.webhooks.delete(created.id)
    with pytest.raises(WebhookNotFound):
        lab.webhooks.get(created.id)
    with pytest.raises(UnsafeWebhookUrl):
        lab.webhooks.create("http://192.168.0.1/")
    with pytest.raises(ProjectNotFound):
        lab.webhooks.create(URL, project_id=uuid4())
    with pytest.raises(ExperimentNotFound):
        lab.webhooks.create(URL, experiment_id=uuid4())
    with pytest.raises(ValueError, match="exploded"):
        lab.webhooks.create(URL, events=["exploded"])


def test_the_command_line_has_all_of_it(server: str) -> None:
    environment = {"REPLICALAB_URL": server, "REPLICALAB_TOKEN": TOKEN, "COLUMNS": "250"}
    runner = CliRunner(env=environment)

    def run(*arguments: str) -> str:
        result = runner.invoke(command_line, ["webhooks", *arguments])
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    secret = run("create", URL, "--event", "experiment.failed").strip()
    assert secret.startswith("whsec_")
    with Lab(server, TOKEN) as lab:
        (webhook,) = lab.webhooks.list()
        assert run("rotate", str(webhook.id)).strip() != secret
        run("test", str(webhook.id))
        (delivery,) = lab.webhooks.deliveries(webhook.id)
    assert str(webhook.id) in run("list")
    assert "webhook.test" in run("deliveries", str(webhook.id))
    run("redeliver", str(webhook.id), str(delivery.id))
    run("delete", str(webhook.id))
    assert str(webhook.id) not in run("list")
    wrong = runner.invoke(command_line, ["webhooks", "create", URL, "--event", "exploded"])
    assert wrong.exit_code == 2
