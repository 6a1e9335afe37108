"""Every route, asked by everybody about everything, answers as the table says."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicalab.db.database import Database
from replicalab.db.imports import ImportedRow
from replicalab.db.models import DatasetRow, ExperimentRow, GeneratorRow
from replicalab.db.uploads import UploadRow
from replicalab.db.webhooks import WebhookRow
from replicalab.domain.accounts import Role
from replicalab_api.experiments.examples import SMALL_STUDY
from replicalab_api.rules import RULES
from tests.contract.api.accounts.conftest import PASSWORD, AddPerson, Person
from tests.contract.api.accounts.matrix import Cell, Relation, cells, expected, page

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]

DOCS = Path(__file__).parents[4] / "docs" / "authorisation.md"
HIDDEN = {
    "dataset-not-found",
    "experiment-not-found",
    "generator-not-found",
    "project-not-found",
    "token-not-found",
    "upload-not-found",
    "user-not-found",
    "webhook-not-found",
}
BINARY = {"Content-Type": "application/octet-stream"}
HOOK = "http://127.0.0.1:9/hook"
IMPORTED: Mapping[str, type[ImportedRow]] = {"generator": GeneratorRow, "dataset": DatasetRow}
NOBODY = "01900000-0000-7000-8000-000000000000"

MD5_OF_X = base64.b64encode(hashlib.md5(b"x", usedforsecurity=False).digest()).decode()
BODIES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("POST", "/v1/session"): {"name": "viewer", "password": PASSWORD},
    ("POST", "/v1/experiments"): SMALL_STUDY,
    ("POST", "/v1/experiments:validate"): SMALL_STUDY,
    ("PATCH", "/v1/experiments/{experiment_id}"): {"priority": "background"},
    ("PUT", "/v1/me/password"): {"old": PASSWORD, "new": PASSWORD},
    ("POST", "/v1/tokens"): {"name": "another", "scopes": ["read"]},
    ("POST", "/v1/projects"): {"name": "another"},
    ("PUT", "/v1/projects/{project_id}/members/{user_id}"): {"role": "viewer"},
    ("POST", "/v1/users"): {"name": "another"},
    ("POST", "/v1/uploads"): {"kind": "dataset", "sha256": "0" * 64, "size_bytes": 1},
    ("POST", "/v1/uploads/{upload_id}:presign"): {
        "parts": [{"number": 1, "size_bytes": 1, "md5": MD5_OF_X}]
    },
    ("POST", "/v1/webhooks"): {"url": HOOK},
    ("PATCH", "/v1/users/{user_id}"): {"display_name": "Another"},
    ("PUT", "/v1/users/{user_id}/quota"): {"seconds": None},
}


def test_the_table_names_every_operation_that_is_described_and_no_other(
    client: TestClient,
) -> None:
    described = {
        (method.upper(), path)
        for path, item in client.get("/openapi.json").json()["paths"].items()
        for method in item
    }
    assert described == set(RULES)


def test_the_docs_have_the_same_table() -> None:
    assert DOCS.read_text(encoding="utf-8") == page(), (
        "run python -m tests.contract.api.accounts.matrix docs/authorisation.md"
    )


class World:
    """Everybody, and what is theirs, their project's and somebody else's."""

    def __init__(
        self,
        app: FastAPI,
        client: TestClient,
        database: Database,
        add_person: AddPerson,
        add_project: Callable[[str, dict[UUID, Role]], str],
    ) -> None:
        self.anonymous = TestClient(app)
        self.database = database
        self.client = client
        self.people: dict[Role, Person] = {role: add_person(role.value, role) for role in Role}
        self.stranger = add_person("stranger", Role.MAINTAINER)
        ids = {
            person.id: min(role, Role.MAINTAINER, key=lambda one: one.rank)
            for role, person in self.people.items()
        }
        shared = add_project("shared", ids | {self.stranger.id: Role.MAINTAINER})
        private = add_project("private", {self.stranger.id: Role.MAINTAINER})
        self.projects = {"own": shared, "foreign": private}
        self.experiments = {
            "project": self._submit(shared),
            "foreign": self._submit(private),
        }
        self.own = {role: self._submit(shared) for role in Role}
        with database.transaction() as session:
            for role, path in self.own.items():
                row = session.get_one(ExperimentRow, UUID(path))
                row.owner_id, row.owner = self.people[role].id, role.value

    def _submit(self, project: str) -> str:
        """The id of a stranger's experiment that has ended, so that its events end as well."""
        submitted = self.stranger.client.post(
            "/v1/experiments", json=SMALL_STUDY, params={"project": project}
        )
        assert submitted.status_code == 202, submitted.text
        experiment = str(submitted.json()["id"])
        self.stranger.client.post(f"/v1/experiments/{experiment}:cancel")
        return experiment

    def experiment(self, role: Role | None, relation: Relation) -> str:
        if relation == "own":
            return self.own[role or Role.VIEWER]
        return self.experiments[relation]

    def token(self, role: Role | None, relation: Relation) -> str:
        person = self.stranger if relation == "foreign" else self.people[role or Role.VIEWER]
        body = {"name": "spare", "user_id": str(person.id)}
        return str(self.client.post("/v1/tokens", json=body).json()["id"])

    def brought(self, thing: str, role: Role | None, relation: Relation) -> str:
        """The id of something whose import nobody has begun, made anew: it may be deleted."""
        project = self.projects["foreign" if relation == "foreign" else "own"]
        query = {"name": str(uuid4()), "licence": "CC0", "project": project}
        brought = self.stranger.client.post(
            f"/v1/{thing}s", params=query, content=b"x", headers=BINARY
        )
        assert brought.status_code == 202, brought.text
        brought_id = str(brought.json()["id"])
        if relation == "own":
            with self.database.transaction() as session:
                row = session.get_one(IMPORTED[thing], UUID(brought_id))
                row.owner = (role or Role.VIEWER).value
        return brought_id

    def webhook(self, role: Role | None, relation: Relation) -> str:
        """The id of a webhook made anew: it may be deleted."""
        project = self.projects["foreign" if relation == "foreign" else "own"]
        with self.database.transaction() as session:
            session.execute(sa.delete(WebhookRow))  # a project has a bounded number
        body = {"url": HOOK, "project_id": project}
        made = self.stranger.client.post("/v1/webhooks", json=body)
        assert made.status_code == 201, made.text
        webhook = str(made.json()["id"])
        if relation == "own":
            with self.database.transaction() as session:
                owner = self.people[role or Role.VIEWER].id
                session.get_one(WebhookRow, UUID(webhook)).owner_id = owner
        return webhook

    def upload(self, role: Role | None, relation: Relation) -> str:
        """The id of an upload of one part, begun anew: it may be given up."""
        with self.database.transaction() as session:
            session.execute(sa.delete(UploadRow))  # a user has a bounded number
        body = {
            "kind": "dataset",
            "sha256": hashlib.sha256(b"x").hexdigest(),
            "size_bytes": 1,
            "project_id": self.projects["own"],
        }
        begun = self.stranger.client.post("/v1/uploads", json=body)
        assert begun.status_code == 201, begun.text
        upload = str(begun.json()["id"])
        if relation == "own":
            with self.database.transaction() as session:
                owner = self.people[role or Role.VIEWER].id
                session.get_one(UploadRow, UUID(upload)).owner_id = owner
        return upload

    def names(self, cell: Cell) -> dict[str, str]:
        """What the path of a cell names, made where it needs to exist."""
        template = cell.operation[1]
        names = {
            "user_id": str(self.stranger.id),
            "slug": "forbidden",
            "delivery_id": NOBODY,
            "number": "1",
        }
        names |= {"node": "metrics@nowhere", "task_key": "0" * 64, "name": "none.json"}
        names |= {"number": "1"}
        makers = {
            "token_id": self.token,
            "experiment_id": self.experiment,
            "webhook_id": self.webhook,
            "upload_id": self.upload,
        } | {f"{thing}_id": partial(self.brought, thing) for thing in IMPORTED}
        for name, make in makers.items():
            if f"{{{name}}}" in template:
                names[name] = make(cell.role, cell.relation)
        if "{project_id}" in template:
            names["project_id"] = self.projects[cell.relation]
        return names

    def answer(self, cell: Cell) -> str:
        method, template = cell.operation
        names = self.names(cell)
        client = self.anonymous if cell.role is None else self.people[cell.role].client
        path = template.format(**names)
        if cell.operation in {("POST", f"/v1/{thing}s") for thing in IMPORTED}:
            query = {"name": str(uuid4()), "licence": "CC0"}
            response = client.post(path, params=query, content=b"x", headers=BINARY)
        elif method == "PUT" and "{upload_id}" in template:
            headers = BINARY | {"Content-MD5": MD5_OF_X}
            response = client.put(path, content=b"x", headers=headers)
        else:
            response = client.request(
                method,
                path,
                json=BODIES.get(cell.operation),
                params={"other": names["experiment_id"]} if template.endswith("/diff") else None,
                headers={"If-Match": "*"},
            )
        assert response.status_code < 500, (cell, response.text)
        if response.status_code in {401, 403}:
            return str(response.status_code)
        is_hidden = response.status_code == 404 and response.json()["code"] in HIDDEN
        return "404" if is_hidden else "yes"


def test_every_answer_is_the_one_in_the_table(
    app: FastAPI,
    client: TestClient,
    database: Database,
    add_person: AddPerson,
    add_project: Callable[[str, dict[UUID, Role]], str],
) -> None:
    world = World(app, client, database, add_person, add_project)
    wrong = [(cell, answer) for cell in cells() if (answer := world.answer(cell)) != expected(cell)]
    assert not wrong


@pytest.mark.parametrize(
    ("path", "thing"),
    [
        ("/v1/experiments/{}", "experiment"),
        ("/v1/experiments/{}/tasks", "experiment"),
        ("/v1/experiments/{}/results", "experiment"),
        ("/v1/experiments/{}/events", "experiment"),
        ("/v1/projects/{}", "project"),
        ("/v1/projects/{}/members", "project"),
    ],
)
def test_what_is_hidden_and_what_does_not_exist_get_the_same_answer(
    ann: Person,
    bob: Person,
    add_project: Callable[[str, dict[UUID, Role]], str],
    path: str,
    thing: str,
) -> None:
    project = add_project("bobs", {bob.id: Role.MAINTAINER})
    submitted = bob.client.post("/v1/experiments", json=SMALL_STUDY, params={"project": project})
    hidden = project if thing == "project" else submitted.json()["id"]
    answers = []
    for known in (hidden, NOBODY):
        response = ann.client.get(path.format(known))
        assert response.status_code == 404
        body = response.text.replace(known, "<id>")
        answers.append(body.replace(response.json()["request_id"], "<request>"))
    assert answers[0] == answers[1]
