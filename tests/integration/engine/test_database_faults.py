"""A database that cuts sessions, has none to give, or gets very much to do at once."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
import sqlalchemy as sa

from replicalab.db.database import CONNECT_TIMEOUT_SECONDS, Database
from replicalab.db.models import ExperimentRow, TaskRow
from replicalab.domain.states import TaskState
from replicalab.engine.dispatcher import Dispatcher
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.experiments import Experiments
from replicalab.errors import DatabaseUnavailable
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration
KEYS = 8
FAN_OUT = 2000
PATIENCE_SECONDS = 120.0

CUT_EVERY_SESSION = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND application_name = 'victim'"
)
COPY_A_BLOCKED_TASK = sa.text(
    """
    WITH one AS (SELECT t.* FROM tasks t JOIN task_edges e ON e.child_id = t.id
                 WHERE t.unmet = 1 ORDER BY t.id LIMIT 1),
         new AS (
            INSERT INTO tasks (key, generation, kind, queue, params, inputs, work, owner, priority,
                               held, state, unmet, attempts, lost, failures, epoch,
                               cancel_requested, dispatches)
            SELECT lpad(to_hex(n), 64, '0'), 1, kind, queue, params, inputs, work, owner, priority,
                   false, 'blocked', 1, 0, 0, 0, 0, false, 0
            FROM one, generate_series(1, :number) AS n
            RETURNING id)
    INSERT INTO task_edges (parent_id, child_id)
    SELECT e.parent_id, new.id FROM new, task_edges e JOIN one ON one.id = e.child_id
    """
)


@pytest.fixture
def victim(lab: Lab) -> Iterator[Database]:
    """A database whose sessions somebody may cut."""
    url = lab.database.engine.url.update_query_dict({"application_name": "victim"})
    database = Database(
        url.set(drivername="postgresql").render_as_string(hide_password=False), pool_size=2
    )
    yield database
    database.close()


@contextmanager
def _cutting(lab: Lab) -> Iterator[None]:
    """Cut every session of the victim at random moments."""
    done, chance = threading.Event(), random.Random(1)

    def cut() -> None:
        while not done.wait(chance.uniform(0.0, 1.0)):
            with lab.database.transaction() as session:
                session.execute(CUT_EVERY_SESSION)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        yield
    finally:
        done.set()
        cutter.join()


def test_sessions_that_are_cut_at_any_moment_leave_one_experiment_a_key(
    lab: Lab, victim: Database
) -> None:
    experiments = Experiments(victim, lab.artifacts)
    answers: dict[str, UUID] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    with _cutting(lab):
        while len(answers) < KEYS:
            assert time.monotonic() < deadline
            key = f"key-{len(answers)}"
            try:
                submitted, _ = experiments.submit(STUDY, owner="ann", idempotency_key=key)
            except DatabaseUnavailable:
                continue  # as the SDK does
            answers[key] = submitted.id
    for key, first in answers.items():
        again, is_replayed = lab.experiments.submit(STUDY, owner="ann", idempotency_key=key)
        assert (first, is_replayed) == (again.id, True)
    with lab.database.transaction() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ExperimentRow)) == KEYS


def test_idle_sessions_that_were_cut_cost_nobody_an_answer(lab: Lab, victim: Database) -> None:
    with victim.engine.connect(), victim.engine.connect():
        pass  # both connections of the pool are open, and idle from here on
    with lab.database.transaction() as session:
        assert len(session.execute(CUT_EVERY_SESSION).all()) == 2
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sessions_of(lab, "victim"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for _ in range(3):
        victim.check()


def sessions_of(lab: Lab, application: str) -> int:
    with lab.database.transaction() as session:
        count = sa.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        return int(session.scalar(count, {"name": application}) or 0)


def test_a_pool_without_a_connection_refuses_soon_and_recovers(victim: Database) -> None:
    with victim.transaction() as first, victim.transaction() as second:
        first.execute(sa.select(1))
        second.execute(sa.select(1))
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            victim.check()
        assert time.monotonic() - began < CONNECT_TIMEOUT_SECONDS + 5
    victim.check()


def test_two_thousand_tasks_that_become_ready_at_once_are_released_and_rung_for(
    lab: Lab, valkey_url: str
) -> None:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    with lab.database.transaction() as session:
        session.execute(COPY_A_BLOCKED_TASK, {"number": FAN_OUT})
    dispatcher = Dispatcher(lab.database, Doorbells(celery_app(valkey_url)), redispatch_seconds=60)
    root = lab.must_claim()
    began = time.monotonic()
    assert lab.complete(root)
    assert dispatcher.dispatch() > 0
    assert time.monotonic() - began < 30
    with lab.database.transaction() as session:
        queued = sa.select(sa.func.count()).where(TaskRow.state == TaskState.QUEUED)
        assert (session.scalar(queued) or 0) >= FAN_OUT
    assert lab.claim_next() is not None
