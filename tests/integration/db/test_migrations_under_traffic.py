"""Migrating a database that is in use: what only adds disturbs nobody, and lets others pass."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from fastapi.testclient import TestClient

from replicalab.db.database import Database
from replicalab.db.migrate import config_for, migrations_folder, upgrade
from replicalab.db.models import TaskRow
from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue, TaskKind
from replicalab.engine.reconciler import Reconciler
from replicalab.engine.task_store import TaskStore
from replicalab.planning.keys import key_of
from replicalab_api.app import gateway
from replicalab_api.experiments.examples import SMALL_STUDY
from replicalab_api.http.wakeups import Wakeups
from replicalab_api.identity.bootstrap import ensure_foundation
from replicalab_api.settings import GatewaySettings
from tests.fixtures.limits import UNLIMITED

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TOKEN = "token-of-the-tests-" + "x" * 16
BUSY_SECONDS = 4.0
"""Longer than a migration waits for a table."""

EXPAND = '''
"""A step that adds what this program does not know of."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("of_the_future", sa.Integer(), server_default="1"))
    op.add_column("experiments", sa.Column("of_the_future", sa.String()))
    op.create_table("future", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade() -> None:
    pass
'''


class Traffic:
    """Things done again and again in threads, and everything that went wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.done: dict[str, int] = {}
        self._over = threading.Event()

    @contextmanager
    def of(self, **acts: Callable[[], None]) -> Iterator[None]:
        """Until the end of the block."""
        threads = [threading.Thread(target=self._repeat, args=act) for act in acts.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)

    def _repeat(self, name: str, act: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                act()
            except Exception as error:  # noqa: BLE001 - whatever went wrong is what is asked for
                self.wrong.append(f"{name}: {error!r}")
                return
            self.done[name] = self.done.get(name, 0) + 1
            time.sleep(0.02)


@pytest.fixture
def database(own_postgres_url: str) -> Iterator[Database]:
    opened = Database(own_postgres_url, pool_size=10)
    yield opened
    opened.close()


@pytest.fixture
def client(
    database: Database, own_postgres_url: str, valkey_url: str, tmp_path: Path
) -> Iterator[TestClient]:
    settings = GatewaySettings.model_validate(
        {
            "database": {"url": own_postgres_url},
            "broker": {"url": valkey_url},
            "store": {"kind": "local", "folder": tmp_path / "artifacts"},
            "token": TOKEN,
            "pepper": "of the tests: " + "x" * 32,
            "limits": UNLIMITED,
        }
    )
    with database.transaction() as session:
        ensure_foundation(session)
    app = gateway(settings, database, Wakeups())
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as opened:
        yield opened


@contextmanager
def a_long_transaction(url: str, seconds: float) -> Iterator[None]:
    """Somebody who has read a table, and takes their time."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT count(*) FROM tasks")
        timer = threading.Timer(seconds, connection.rollback)
        timer.start()
        yield
        timer.join()


def test_what_only_adds_is_migrated_under_traffic_without_a_failure(
    client: TestClient, database: Database, own_postgres_url: str, tmp_path: Path
) -> None:
    scripts = tmp_path / "migrations"
    shutil.copytree(migrations_folder(), scripts)
    head = max(path.name for path in (scripts / "versions").glob("*.py"))[:4]
    (scripts / "versions" / "9999_expand.py").write_text(EXPAND.format(head=head))
    tasks = TaskStore(database, lease_seconds=60, max_lost=3)
    seeds, longest = count(), 0.0

    def read() -> None:
        nonlocal longest
        began = time.monotonic()
        assert client.get("/v1/experiments").status_code == 200
        longest = max(longest, time.monotonic() - began)

    def submit() -> None:
        study = {**SMALL_STUDY, "noise_seed": next(seeds)}
        key = {"Idempotency-Key": f"study-{study['noise_seed']}"}
        answer = client.post("/v1/experiments", json=study, headers=key)
        assert answer.status_code == 202, answer.text

    def work() -> None:
        for queue in Queue:
            task_id = tasks.next_queued(queue)
            if task_id is None:
                continue
            task = tasks.claim(task_id, "w1")
            assert task is not None
            assert tasks.complete(task.id, task.epoch, [], [])

    traffic = Traffic()
    with (
        traffic.of(read=read, submit=submit, work=work),
        a_long_transaction(own_postgres_url, BUSY_SECONDS),
    ):
        upgrade(own_postgres_url, scripts=scripts)
        time.sleep(1)
    assert traffic.wrong == []
    assert min(traffic.done.values()) > 3
    assert set(traffic.done) == {"read", "submit", "work"}
    assert longest < BUSY_SECONDS + 1
    with database.transaction() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM tasks WHERE of_the_future = 1"))


def test_a_program_from_before_the_versions_goes_on_beside_the_new_one(
    database: Database, own_postgres_url: str
) -> None:
    """The statements are those of that program, for 0014: nobody else knows how it asked."""
    command.downgrade(config_for(own_postgres_url), "0014")
    numbers = count()

    def submit_as_then() -> None:
        params = {"of": next(numbers)}
        key = key_of(TaskKind.EMBED, KIND_VERSIONS[TaskKind.EMBED], params, [])
        with psycopg.connect(own_postgres_url) as connection:
            connection.execute(
                "INSERT INTO tasks (key, generation, kind, queue, params, inputs, work, owner,"
                " priority, held, state, unmet, attempts, lost, failures, epoch,"
                " cancel_requested, dispatches, queued_at)"
                " VALUES (%s, 1, 'embed', 'worker', %s, '[]', 1, 'ann', 2, false, 'queued', 0, 0,"
                " 0, 0, 0, false, 0, rl_now())",
                [key, psycopg.types.json.Jsonb(params)],
            )

    def claim_as_then() -> None:
        with psycopg.connect(own_postgres_url) as connection:
            claimed = connection.execute(
                "UPDATE tasks SET state = 'running', worker = 'old:1', epoch = nextval('fence'),"
                " attempts = attempts + 1, started_at = rl_now() WHERE id = (SELECT min(id) FROM"
                " tasks WHERE state = 'queued') RETURNING id, epoch, params, inputs"
            ).fetchone()
            if claimed is not None:
                connection.execute(
                    "UPDATE tasks SET state = 'succeeded', worker = NULL, ended_at = rl_now()"
                    " WHERE id = %s AND epoch = %s AND state = 'running'",
                    claimed[:2],
                )

    def register_as_then() -> None:
        with psycopg.connect(own_postgres_url) as connection:
            connection.execute(
                "INSERT INTO workers (node, queue, version, device, streak)"
                " VALUES ('worker@old', 'worker', '0', 'cpu', 0)"
                " ON CONFLICT (node) DO UPDATE SET last_seen_at = rl_now()"
            )

    traffic = Traffic()
    with traffic.of(submit=submit_as_then, claim=claim_as_then, register=register_as_then):
        time.sleep(0.5)
        upgrade(own_postgres_url)
        time.sleep(0.5)
    assert traffic.wrong == []
    assert min(traffic.done.values()) > 3
    submit_as_then()
    Reconciler(database, lease_seconds=60, max_lost=3).reconcile()
    with database.transaction() as session:
        versions = session.scalars(
            sa.select(TaskRow.kind_version).where(TaskRow.state == TaskState.QUEUED)
        ).all()
    assert versions
    assert set(versions) == {KIND_VERSIONS[TaskKind.EMBED]}
