"""What the engine costs: a task that does nothing, and a release from a long queue.

    python benchmarks/engine.py                     # about ten minutes
    python benchmarks/engine.py --only tasks --tasks 10000

``tasks`` runs tasks without work from submission to their end, through scheduler, broker, worker,
child process and PostgreSQL, against Celery alone on the same broker (``plain_celery.py``).
``queue`` measures what a scheduler pays to release four tasks, and to look for damage, while many
wait.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from celery import Celery
from lab_servers import LabServers, lab_servers
from long_queue import TASKS_OF_A_STUDY, measure_queue
from rounds import machine, print_table, ratio, turns

from replicalab.db.database import Database
from replicalab.db.models import TaskRow
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.priorities import Priority
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import PrepareDataset
from replicalab.engine.submission import Submission
from replicalab.planning.builder import PlanBuilder
from replicalab.settings import LocalStoreSettings
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.factory import open_store

LIMIT_SECONDS = 1800.0
SPEC = ExperimentSpec(name="tasks without work", t_re=(0,), classifier_seeds=(0,))
OURS, CELERY, DURABLE = "ReplicaLab", "Celery, results in Valkey", "Celery, results in PostgreSQL"
NOTHING = "plain.do_nothing"
"""The name of the task in ``plain_celery.py``, whose settings are the worker's."""


def main() -> None:
    """Parse the command line and run what it asks for."""
    parser = argparse.ArgumentParser(description="What the engine costs.")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--tasks", type=int, default=2000, help="of every contestant in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--waiting", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    arguments = parser.parse_args()
    print(machine())
    for name, measure in SECTIONS.items():
        if arguments.only in {None, name}:
            print(f"\n## {name}\n")
            measure(arguments)


def measure_waiting(arguments: argparse.Namespace) -> None:
    """A scheduler's duties beside queues of several lengths."""
    measure_queue(arguments.waiting)


def measure_tasks(arguments: argparse.Namespace) -> None:
    """Tasks without work, end to end."""
    with lab_servers() as servers:
        contestants = {
            CELERY: celery_contestant(servers, "redis", servers.broker_url),
            DURABLE: celery_contestant(servers, "database", database_backend(servers)),
            OURS: our_contestant(servers),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for run in contestants.values():
            run(TASKS_OF_A_STUDY)
        for name in turns(list(contestants), arguments.rounds):
            seconds[name].append(contestants[name](arguments.tasks))
    ours = seconds[OURS]
    print_table(
        ["what", "tasks", "n", "ms a task", "spread", "tasks/s", "throughput, ours in theirs"],
        [
            [
                name,
                str(arguments.tasks),
                str(len(runs)),
                f"{1e3 * statistics.median(runs) / arguments.tasks:.2f}",
                f"{1e3 * min(runs) / arguments.tasks:.2f}-{1e3 * max(runs) / arguments.tasks:.2f}",
                f"{arguments.tasks / statistics.median(runs):.0f}",
                f"{ratio(runs, ours):.0%}",
            ]
            for name, runs in seconds.items()
        ],
    )


def our_contestant(servers: LabServers) -> Callable[[int], float]:
    """A scheduler and a worker that run; gives what runs so many tasks and tells the seconds."""
    servers.start("scheduler", ["-m", "replicalab_api.scheduler"])
    servers.start("worker", ["-m", "idle_service"])
    database = Database(servers.database_url, pool_size=2)
    artifacts = ArtifactStore(
        open_store(LocalStoreSettings(folder=Path(servers.variables["REPLICALAB_STORE__FOLDER"])))
    )
    submitted = 0

    def run(tasks: int) -> float:
        nonlocal submitted
        began = time.perf_counter()
        for first in range(submitted, submitted + tasks, TASKS_OF_A_STUDY):
            submit(database, artifacts, range(first, first + TASKS_OF_A_STUDY))
        submitted += tasks
        left = sa.select(sa.exists().where(TaskRow.ended_at.is_(None)))
        wait_until(lambda: not scalar(database, left))
        seconds = time.perf_counter() - began
        if scalar(database, sa.select(sa.exists().where(TaskRow.state != TaskState.SUCCEEDED))):
            raise RuntimeError("a task that does nothing did not succeed")
        return seconds

    return run


def submit(database: Database, artifacts: ArtifactStore, numbers: Sequence[int]) -> None:
    """A study whose tasks do not depend on each other."""
    plan = PlanBuilder()
    for number in numbers:
        plan.add(PrepareDataset(dataset=DigitsDataset(split_seed=number)), work=1)
    with database.transaction() as session:
        submission = Submission(session, artifacts)
        submission.replay(SPEC, "ann", DEFAULT_PROJECT_ID, None)
        submission.accept(
            SPEC,
            plan.build(),
            owner="ann",
            key=None,
            priority=Priority.NORMAL,
            owner_id=None,
            project_id=DEFAULT_PROJECT_ID,
        )


def database_backend(servers: LabServers) -> str:
    """The URL by which Celery's own backend reaches a database of its own."""
    engine = sa.create_engine(servers.sqlalchemy_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE celery"))
    engine.dispose()
    return "db+" + servers.sqlalchemy_url.rpartition("/")[0] + "/celery"


def celery_contestant(servers: LabServers, name: str, results_url: str) -> Callable[[int], float]:
    """A worker of plain Celery that runs; gives what ``our_contestant`` gives."""
    variables = {
        "BROKER_URL": servers.broker_url,
        "RESULTS_URL": results_url,
        "KEY_PREFIX": f"{name}:",
    }
    app = Celery("sender", broker=servers.broker_url, backend=results_url, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": variables["KEY_PREFIX"]}
    app.conf.result_backend_transport_options = {"global_keyprefix": variables["KEY_PREFIX"]}
    command = ["-m", "celery", "-A", "plain_celery", "worker", "--pool=prefork", "--concurrency=1"]
    servers.start(name, [*command, "--without-gossip", "--without-mingle"], variables=variables)

    def run(tasks: int) -> float:
        began = time.perf_counter()
        sent = [app.send_task(NOTHING, args=[number]) for number in range(tasks)]
        wait_until(sent[-1].ready)  # one process runs them in the order in which they came
        return time.perf_counter() - began

    return run


def scalar(database: Database, query: sa.Select[bool]) -> bool:
    """What ``query`` answers."""
    with database.transaction() as session:
        return bool(session.scalar(query))


def wait_until(is_done: Callable[[], bool]) -> None:
    """Look twenty times a second, within bounds."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done after {LIMIT_SECONDS:.0f} seconds")
        time.sleep(0.05)


SECTIONS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "tasks": measure_tasks,
    "queue": measure_waiting,
}

if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
