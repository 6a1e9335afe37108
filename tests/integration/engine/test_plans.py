"""How PostgreSQL reads tasks for those who look: by the indexes of what waits, never by all."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.domain.tasks import Queue
from replicalab.engine.dispatcher import Dispatcher
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.progress import Speeds
from replicalab.engine.task_store import TaskStore
from tests.integration.engine.conftest import LEASE_SECONDS, MAX_LOST, STUDY, Lab

pytestmark = pytest.mark.integration
TASKS = 3000
ALL_WAIT = TASKS
FEW_WAIT = 10

SCAN = re.compile(r"Scan (?:Backward )?(?:using|on) (ix_tasks_\w+|pk_tasks|tasks)\b")
WALK = re.compile(
    r"^ *(?:-> +)?(?:Seq Scan|Index(?: Only)? Scan (?:Backward )?using \w+) on (\w+).*$"
    r"(?!\n +Index Cond)",
    re.MULTILINE,
)
"""A table that is read from end to end."""

NODES = {"installation", "workers"}
"""Tables with a row, or one per machine."""

PARAMETER = re.compile(r"%\((\w+)\)s")
Statements = list[tuple[str, Any]]


@pytest.fixture
def postgres_url(own_postgres_url: str) -> str:
    """What is known of its tables is that they are new."""
    return own_postgres_url


def add_tasks(lab: Lab, *, waiting: int) -> None:
    """A long history and what waits, of which the planner has learned when all of it waited."""
    rows = """
        INSERT INTO tasks (key, generation, kind, kind_version, queue, params, inputs, work, owner,
                           priority, held, state, unmet, attempts, lost, failures, epoch,
                           cancel_requested, queued_at, dispatches)
        SELECT encode(sha256(n::text::bytea), 'hex'), 1, 'prepare-dataset', 1, 'worker', '{}', '[]',
               1, 'ann', 2, false, 'queued', 0, 0, 0, 0, 0, false, rl_now(), 0
        FROM generate_series(1, :tasks) AS n
    """
    with lab.database.transaction() as session:
        session.execute(sa.text(rows), {"tasks": TASKS})
    with lab.database.reading() as connection:
        connection.execute(sa.text("ANALYZE tasks"))
    ended = (
        "UPDATE tasks SET state = 'succeeded', ended_at = rl_now(), seconds = 1 WHERE id <= :last"
    )
    with lab.database.transaction() as session:
        session.execute(sa.text(ended), {"last": TASKS - waiting})


@contextmanager
def overheard(database: Database) -> Iterator[Statements]:
    """Every statement that is asked meanwhile."""
    statements: Statements = []

    def note(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        statements.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)


def readings(plans: Iterable[str]) -> set[str]:
    """By which indexes the table of tasks is read; its name is all of it."""
    return {reading for plan in plans for reading in SCAN.findall(plan)}


def plans_of(database: Database, statements: Statements) -> list[str]:
    """How PostgreSQL answers the questions in ``statements`` with their parameters."""
    with database.transaction() as session:
        return [
            explain(session, f"EXPLAIN {statement}", parameters)
            for statement, parameters in statements
            if statement.lstrip().startswith(("SELECT", "WITH"))
        ]


def plans_for_all(database: Database, statements: Statements) -> list[str]:
    """How PostgreSQL answers ``statements`` whatever their parameters, as it plans them once."""
    with database.transaction() as session:
        return [
            explain(session, f"EXPLAIN (GENERIC_PLAN) {numbered(statement)}")
            for statement in dict.fromkeys(asked for asked, _ in statements)
            if statement.lstrip().startswith(("SELECT", "WITH", "UPDATE", "INSERT"))
        ]


def explain(session: Session, question: str, parameters: Any = None) -> str:
    return "\n".join(session.connection().exec_driver_sql(question, parameters).scalars())


def numbered(statement: str) -> str:
    """The statement with its parameters as PostgreSQL writes them; the driver sees none."""
    names = list(dict.fromkeys(PARAMETER.findall(statement)))
    return PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement)


@contextmanager
def planning_once(lab: Lab) -> Iterator[tuple[Database, TaskStore]]:
    """The database as a worker reaches it."""
    url = lab.database.engine.url.render_as_string(hide_password=False)
    database = Database(url, plans_once=True)
    try:
        yield database, TaskStore(database, lease_seconds=LEASE_SECONDS, max_lost=MAX_LOST)
    finally:
        database.close()


@pytest.mark.parametrize("waiting", [ALL_WAIT, FEW_WAIT])
@pytest.mark.parametrize("is_at_work", [True, False])
def test_a_worker_looks_at_what_waits_only(lab: Lab, waiting: int, *, is_at_work: bool) -> None:
    add_tasks(lab, waiting=waiting)
    with planning_once(lab) as (database, store), overheard(database) as statements:
        found = store.next_queued(Queue.WORKER, "node:1", is_at_work=is_at_work)
        plans = plans_for_all(database, statements[:])
    assert found == TASKS - waiting + 1
    assert readings(plans) - {"ix_tasks_under_way"} == {"ix_tasks_waiting"}


@pytest.mark.parametrize("waiting", [ALL_WAIT, FEW_WAIT])
def test_a_dispatcher_looks_at_what_waits_only(lab: Lab, valkey_url: str, waiting: int) -> None:
    add_tasks(lab, waiting=waiting)
    doorbells = Doorbells(celery_app(valkey_url))
    dispatcher = Dispatcher(lab.database, doorbells, redispatch_seconds=LEASE_SECONDS)
    with overheard(lab.database) as statements:
        dispatcher.dispatch()
    plans = plans_of(lab.database, statements)
    assert readings(plans) == {"ix_tasks_waiting", "ix_tasks_under_way"}


def test_the_latest_that_ended_are_found_behind_many_that_wait(lab: Lab, valkey_url: str) -> None:
    add_tasks(lab, waiting=TASKS // 2)
    with lab.database.reading() as connection:
        connection.execute(sa.text("UPDATE tasks SET owner = 'bob' WHERE id % 2 = 0"))
        connection.execute(sa.text("CLUSTER tasks USING pk_tasks"))  # as if nothing had moved
        connection.execute(sa.text("ANALYZE tasks"))
    doorbells = Doorbells(celery_app(valkey_url))
    dispatcher = Dispatcher(lab.database, doorbells, redispatch_seconds=LEASE_SECONDS)
    with overheard(lab.database) as statements:
        dispatcher.dispatch()  # two owners: it asks how long tasks take
        with lab.database.reading() as connection:
            Speeds().measured(connection)
    looked_at = readings(plans_of(lab.database, statements))
    assert looked_at - {"ix_tasks_under_way"} == {
        "ix_tasks_pace",
        "ix_tasks_speed",
        "ix_tasks_waiting",
    }


def test_claims_and_endings_find_everything_by_its_key(lab: Lab) -> None:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    with planning_once(lab) as (database, store), overheard(database) as statements:
        lab.tasks = store
        assert lab.run_everything()
        plans = plans_for_all(database, statements[:])
    assert {table for plan in plans for table in WALK.findall(plan)} <= NODES
