"""How PostgreSQL reads tasks for those who look: by the indexes of what waits, never by all."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.domain.tasks import Queue
from replicalab.engine.dispatcher import Dispatcher
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.task_store import TaskStore
from tests.integration.engine.conftest import LEASE_SECONDS, MAX_LOST, Lab

pytestmark = pytest.mark.integration
TASKS = 3000
ALL_WAIT = TASKS
FEW_WAIT = 10

SCAN = re.compile(r"Scan (?:using|on) (ix_tasks_\w+|pk_tasks|tasks)\b")
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
    ended = "UPDATE tasks SET state = 'succeeded', ended_at = rl_now() WHERE id <= :last"
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


def readings_of_tasks(database: Database, ask: Callable[[], object]) -> set[str]:
    """By which indexes the questions of ``ask`` read the table of tasks; its name is all of it."""
    with overheard(database) as statements:
        ask()
    readings: set[str] = set()
    with database.transaction() as session:
        for statement, parameters in statements:
            if statement.lstrip().startswith(("SELECT", "WITH")):
                explain = session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters)
                readings.update(*(SCAN.findall(line) for line in explain.scalars()))
    return readings


@pytest.mark.parametrize("waiting", [ALL_WAIT, FEW_WAIT])
@pytest.mark.parametrize("is_at_work", [True, False])
def test_a_worker_looks_at_what_waits_only(lab: Lab, waiting: int, *, is_at_work: bool) -> None:
    add_tasks(lab, waiting=waiting)
    url = lab.database.engine.url.render_as_string(hide_password=False)
    planning_once = Database(url, plans_once=True)
    store = TaskStore(planning_once, lease_seconds=LEASE_SECONDS, max_lost=MAX_LOST)
    found: list[int | None] = []

    def look() -> None:
        found.append(store.next_queued(Queue.WORKER, "node:1", is_at_work=is_at_work))

    readings = readings_of_tasks(planning_once, look)
    planning_once.close()
    assert found == [TASKS - waiting + 1]
    assert readings - {"ix_tasks_under_way"} == {"ix_tasks_waiting"}


@pytest.mark.parametrize("waiting", [ALL_WAIT, FEW_WAIT])
def test_a_dispatcher_looks_at_what_waits_only(lab: Lab, valkey_url: str, waiting: int) -> None:
    add_tasks(lab, waiting=waiting)
    doorbells = Doorbells(celery_app(valkey_url))
    dispatcher = Dispatcher(lab.database, doorbells, redispatch_seconds=LEASE_SECONDS)
    readings = readings_of_tasks(lab.database, dispatcher.dispatch)
    assert readings == {"ix_tasks_waiting", "ix_tasks_under_way"}
