"""What was begun with a credential or a membership does not outlive it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from replicalab.db.accounts import MembershipRow
from replicalab.db.database import Database
from replicalab.db.models import ExperimentRow
from replicalab.domain.accounts import Role
from replicalab_api.experiments.examples import SMALL_STUDY
from replicalab_api.http.wakeups import Wakeups
from tests.contract.api.accounts.conftest import Person

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

AddProject = Callable[[str, dict[UUID, Role]], str]


@pytest.fixture
def waking(wakeups: Wakeups) -> Iterator[None]:
    """News all the time, so that whoever waits looks often; the streams end with the test."""
    done = threading.Event()

    def wake() -> None:
        while not done.wait(0.05):
            wakeups.notify()

    thread = threading.Thread(target=wake)
    thread.start()
    yield
    done.set()
    thread.join()
    wakeups.close()


def lose_token(client: TestClient, person: Person) -> None:
    (token,) = person.client.get("/v1/tokens").json()
    assert client.delete(f"/v1/tokens/{token['id']}").status_code == 200


def lose_project(database: Database, person: Person, project: str) -> None:
    with database.transaction() as session:
        session.execute(
            sa.delete(MembershipRow).where(
                MembershipRow.project_id == UUID(project), MembershipRow.user_id == person.id
            )
        )


def test_a_stream_ends_when_its_token_is_revoked(
    client: TestClient, submitted: str, ann: Person, waking: None
) -> None:
    # The test client hands over a stream when it has ended: revoke from another thread.
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        stream = pool.submit(ann.client.get, f"{submitted}/events")
        time.sleep(0.5)
        assert not stream.done()
        lose_token(client, ann)
        response = stream.result(timeout=10)
    assert response.status_code == 200
    assert "event: experiment" in response.text
    assert time.monotonic() - began < 10


def test_a_stream_ends_when_its_reader_is_no_member_any_more(
    client: TestClient,
    database: Database,
    ann: Person,
    bob: Person,
    add_project: AddProject,
    waking: None,
) -> None:
    project = add_project("both", {ann.id: Role.VIEWER, bob.id: Role.RESEARCHER})
    submitted = bob.client.post("/v1/experiments", json=SMALL_STUDY, params={"project": project})
    path = submitted.headers["Location"]
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(ann.client.get, f"{path}/events")
        time.sleep(0.5)
        assert not stream.done()
        lose_project(database, ann, project)
        assert stream.result(timeout=10).status_code == 200
    assert ann.client.get(path).status_code == 404


def test_a_held_answer_is_kept_back_when_the_token_is_revoked(
    client: TestClient, submitted: str, ann: Person, waking: None
) -> None:
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(ann.client.get, submitted, params={"wait": 20})
        time.sleep(0.5)
        assert not held.done()
        lose_token(client, ann)
        assert held.result(timeout=10).status_code == 401


def test_a_key_answers_nothing_from_a_project_that_the_caller_has_lost(
    database: Database, ann: Person, add_project: AddProject
) -> None:
    project = add_project("lost", {ann.id: Role.RESEARCHER})
    headers = {"Idempotency-Key": str(uuid4())}

    def submit(**params: str) -> tuple[int, str]:
        response = ann.client.post(
            "/v1/experiments", json=SMALL_STUDY, headers=headers, params=params
        )
        return response.status_code, response.json().get("code", "")

    assert submit(project=project) == (202, "")
    assert submit(project=project) == (202, "")
    lose_project(database, ann, project)
    assert submit(project=project) == (404, "project-not-found")
    assert submit() == (422, "idempotency-conflict")


def test_if_match_is_compared_at_the_moment_of_the_change(
    client: TestClient, submitted: str, database: Database
) -> None:
    """Another change that has begun first wins, though it commits after the request has come."""
    etag = client.get(submitted).headers["ETag"]
    experiment = UUID(submitted.rpartition("/")[2])
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            row = session.get_one(ExperimentRow, experiment, with_for_update=True)
            change = pool.submit(
                client.patch,
                submitted,
                json={"priority": "background"},
                headers={"If-Match": etag},
            )
            time.sleep(0.5)
            assert not change.done()
            row.held_at = sa.func.rl_now()
        answer = change.result(timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition-failed")
    assert client.get(submitted).json()["priority"] == "normal"


def test_of_two_changes_with_one_tag_one_is_made(client: TestClient, submitted: str) -> None:
    for priority in ("background", "interactive") * 3:
        headers = {"If-Match": client.get(submitted).headers["ETag"]}
        with ThreadPoolExecutor(2) as pool:
            answers = [
                pool.submit(client.patch, submitted, json={"priority": priority}, headers=headers)
                for _ in range(2)
            ]
            statuses = sorted(answer.result(timeout=10).status_code for answer in answers)
        assert statuses == [200, 412]
