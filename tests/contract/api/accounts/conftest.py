"""People with tokens of their own, and projects that only some of them are in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicalab.db.accounts import MembershipRow
from replicalab.db.database import Database
from replicalab.domain.accounts import Role, Scope

PASSWORD = "correct horse battery staple"
SITE = "http://127.0.0.1"


@dataclass(frozen=True)
class Person:
    """A user and a client that shows their token."""

    id: UUID
    name: str
    token: str
    client: TestClient


AddPerson = Callable[[str, Role], Person]
PassTime = Callable[[timedelta], None]


@pytest.fixture
def add_person(app: FastAPI, client: TestClient) -> AddPerson:
    """Adds a user with a password and a token that allows everything they may do."""

    def add(name: str, role: Role) -> Person:
        body = {"name": name, "role": role, "password": PASSWORD}
        created = client.post("/v1/users", json=body)
        assert created.status_code == 201, created.text
        user_id = created.json()["id"]
        scopes = [scope.value for scope in Scope]
        wanted = {"name": "test", "scopes": scopes, "user_id": user_id}
        token = client.post("/v1/tokens", json=wanted).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        return Person(UUID(user_id), name, token, TestClient(app, headers=headers))

    return add


@pytest.fixture
def ann(add_person: AddPerson) -> Person:
    """A researcher."""
    return add_person("ann", Role.RESEARCHER)


@pytest.fixture
def bob(add_person: AddPerson) -> Person:
    """Another researcher."""
    return add_person("bob", Role.RESEARCHER)


@pytest.fixture
def add_project(client: TestClient, database: Database) -> Callable[[str, dict[UUID, Role]], str]:
    """Adds a project with exactly these members; returns its id."""

    def add(name: str, members: dict[UUID, Role]) -> str:
        project_id = str(client.post("/v1/projects", json={"name": name}).json()["id"])
        with database.transaction() as session:
            session.query(MembershipRow).filter_by(project_id=UUID(project_id)).delete()
            for user_id, role in members.items():
                session.add(MembershipRow(project_id=UUID(project_id), user_id=user_id, role=role))
        return project_id

    return add


@pytest.fixture
def browser(app: FastAPI) -> TestClient:
    """A browser on this machine that nobody has logged in with."""
    return TestClient(app, base_url=SITE)


@pytest.fixture
def pass_time(database: Database) -> Iterator[PassTime]:
    """Shift the database's clock instead of waiting."""
    name = database.engine.url.database

    def alter(change: str) -> None:
        connection = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with connection as autocommitting:
            autocommitting.execute(sa.text(f"ALTER DATABASE {name} {change}"))
        database.engine.dispose()

    yield lambda by: alter(f"SET replicalab.clock_shift = '{by.total_seconds()} seconds'")
    alter("RESET replicalab.clock_shift")
