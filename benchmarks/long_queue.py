"""What a scheduler pays to release four tasks, and to look for damage, while many wait.

The section ``queue`` of ``engine.py``.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import redis
import sqlalchemy as sa
from lab_servers import lab_servers, tidy
from rounds import print_table

from replicalab.db.database import Database
from replicalab.db.models import TaskRow
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.tasks import Queue
from replicalab.engine.dispatcher import Dispatcher
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.reconciler import Reconciler

TASKS_OF_A_STUDY = 100
OWNERS = 50
RELEASES = 40
PASSES = 20
ROWS_OF_A_STATEMENT = 50_000
"""What a statement adds well within its time."""


def measure_queue(lengths: Sequence[int]) -> None:
    """What a scheduler's two duties cost while so many tasks wait, for each of ``lengths``."""
    rows = []
    first_medians: dict[str, float] = {}
    with lab_servers() as servers:
        database = Database(servers.database_url, pool_size=2)
        doorbells = Doorbells(celery_app(servers.broker_url))
        dispatcher = Dispatcher(database, doorbells, redispatch_seconds=3600)
        for waiting in lengths:
            let_wait(database, waiting)
            passes = of_reconciler(database)
            released = releases(database, dispatcher, servers.broker_url)
            for duty, seconds in (("release of four", released), ("pass that heals", passes)):
                median = statistics.median(seconds)
                growth = median / first_medians.setdefault(duty, median)
                spread = f"{1e3 * min(seconds):.2f}-{1e3 * max(seconds):.2f}"
                rows.append(
                    [
                        f"{waiting:,}",
                        duty,
                        str(len(seconds)),
                        f"{1e3 * median:.2f}",
                        spread,
                        f"{growth:.2f}",
                    ]
                )
    print_table(["waiting tasks", "duty", "n", "ms", "spread", "growth"], rows)


def let_wait(database: Database, number: int) -> None:
    """Fill the queue up to ``number`` tasks of many owners."""
    with database.transaction() as session:
        there = session.scalar(sa.select(sa.func.count()).select_from(TaskRow)) or 0
    for first in range(there + 1, number + 1, ROWS_OF_A_STATEMENT):
        last = min(first + ROWS_OF_A_STATEMENT - 1, number)
        add_waiting(database, first, last)
        add_studies(database, first, last)
    tidy(database, "tasks, experiments, experiment_tasks")


def add_waiting(database: Database, first: int, last: int) -> None:
    """Tasks number ``first`` to ``last``, in one statement."""
    with database.transaction() as session:
        session.execute(
            sa.text(
                """
                INSERT INTO tasks (key, generation, kind, kind_version, queue, params, inputs,
                                   work, owner, priority, held, state, unmet, attempts, lost,
                                   failures, epoch, cancel_requested, queued_at, dispatches)
                SELECT encode(sha256(('waits ' || n)::text::bytea), 'hex'), 1, 'prepare-dataset',
                       1, 'worker', '{}', '[]', 1, 'user ' || n % :owners, 2, false, 'queued', 0,
                       0, 0, 0, 0, false, rl_now(), 0
                FROM generate_series(:first ::int, :last ::int) AS n
                """
            ),
            {"owners": OWNERS, "first": first, "last": last},
        )


def add_studies(database: Database, first: int, last: int) -> None:
    """Experiments that need tasks number ``first`` to ``last``, some hundred each."""
    with database.transaction() as session:
        session.execute(
            sa.text(
                """
                WITH studies AS (
                    INSERT INTO experiments (id, project_id, owner, name, kind, spec, state,
                                             reused_tasks, priority)
                    SELECT gen_random_uuid(), :project, 'user ' || n % :owners, 'waits ' || n,
                           'study', '{}', 'queued', 0, 2
                    FROM generate_series(:first ::int / :size, :last ::int / :size) AS n
                    RETURNING id, name)
                INSERT INTO experiment_tasks (experiment_id, task_id, position, reused)
                SELECT studies.id, tasks.id, tasks.id % :size, false
                FROM tasks JOIN studies ON studies.name = 'waits ' || tasks.id / :size
                WHERE tasks.id BETWEEN :first AND :last
                """
            ),
            {
                "project": DEFAULT_PROJECT_ID,
                "owners": OWNERS,
                "size": TASKS_OF_A_STUDY,
                "first": first,
                "last": last,
            },
        )


def of_reconciler(database: Database) -> list[float]:
    """Seconds of each pass of the reconciler, which finds nothing to do."""
    reconciler = Reconciler(database, lease_seconds=60, max_lost=3)

    def reconcile() -> None:
        moved = reconciler.reconcile()
        assert not any(moved.values()), moved

    return seconds_of(PASSES, reconcile)


def releases(database: Database, dispatcher: Dispatcher, broker_url: str) -> list[float]:
    """Seconds of each release; what was rung for is as if it had never been between them."""

    def release() -> None:
        assert dispatcher.dispatch() > 0

    def forget() -> None:
        with redis.Redis.from_url(broker_url) as broker:
            broker.flushall()
        with database.transaction() as session:
            session.execute(
                sa.update(TaskRow)
                .where(TaskRow.queue == Queue.WORKER, TaskRow.dispatched_at.is_not(None))
                .values(dispatched_at=None, dispatches=0)
            )

    return seconds_of(RELEASES, release, forget)


def seconds_of(
    runs: int, work: Callable[[], None], tidy_up: Callable[[], None] = lambda: None
) -> list[float]:
    """Seconds of each of ``runs``, after one that is not counted as it opens the connections."""
    seconds = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
        tidy_up()
    return seconds[1:]
