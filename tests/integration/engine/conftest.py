"""An engine on a real PostgreSQL, a driver that plays the workers, and workers as they are."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.db.models import AttemptRow, TaskRow
from replicalab.domain.artifacts import JSON, NamedArtifact
from replicalab.domain.measures import AccuracyMeasure, Measurement
from replicalab.domain.resources import EventRead
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue, TaskKind
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.details import events_of
from replicalab.engine.experiments import Experiments
from replicalab.engine.reconciler import Reconciler
from replicalab.engine.supervisor import ChildProcess, Supervisor
from replicalab.engine.task_store import TaskStore
from replicalab.settings import EngineSettings, LocalStoreSettings
from replicalab.stack.processes import Process, Program
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.local import LocalObjectStore
from tests.fixtures import handlers
from tests.fixtures.servers import environment

LEASE_SECONDS = 60.0
MAX_LOST = 3
SHORT_LEASE_SECONDS = 3.0
"""Of workers that run as processes of their own: there the clock cannot be shifted."""

ROOT = Path(__file__).parents[3]

STUDY = ExperimentSpec(
    name="study", t_re=(0, 18), classifier_seeds=(0,), measures=(AccuracyMeasure(),)
)
"""Nine tasks: data set, three shards, two classifiers, two evaluations, report."""

ACCURACY = Measurement(name="accuracy", value=0.5, unit="1", n=1, n_unit="seeds")


@dataclass
class Lab:
    """One installation's database and store, seen from every side."""

    database: Database
    folder: Path

    def __post_init__(self) -> None:
        self.artifacts = ArtifactStore(LocalObjectStore(self.folder))
        self.experiments = Experiments(self.database, self.artifacts)
        self.tasks = TaskStore(self.database, lease_seconds=LEASE_SECONDS, max_lost=MAX_LOST)
        self.reconciler = Reconciler(self.database, lease_seconds=LEASE_SECONDS, max_lost=MAX_LOST)

    def claim_next(self, worker: str = "w1") -> ClaimedTask | None:
        """Claim whatever waits first, in any queue."""
        for queue in Queue:
            task_id = self.tasks.next_queued(queue)
            if task_id is not None:
                return self.tasks.claim(task_id, worker)
        return None

    def must_claim(self, worker: str = "w1") -> ClaimedTask:
        """Claim whatever waits first; something does."""
        task = self.claim_next(worker)
        assert task is not None
        return task

    def complete(self, task: ClaimedTask) -> bool:
        """Succeed with one artifact of the task's own and a measurement."""
        ref = self.artifacts.write(task.key.encode(), JSON)
        names = {i.artifact for i in self._readers_of(task.key)} or {"output.json"}
        outputs = [NamedArtifact(name=name, ref=ref) for name in sorted(names)]
        return self.tasks.complete(task.id, task.epoch, outputs, [ACCURACY])

    def events(self, experiment_id: UUID, *, after: int, limit: int) -> list[EventRead]:
        """Events with ids above ``after``, rising."""
        with self.database.transaction() as session:
            return events_of(session, experiment_id, after=after, limit=limit)

    def run_everything(self) -> list[TaskKind]:
        """Claim and complete until nothing waits; returns the kinds in order."""
        done = []
        while (task := self.claim_next()) is not None:
            assert self.complete(task)
            done.append(TaskKind(task.params.kind))
        return done

    def states(self) -> dict[int, TaskState]:
        """State of every task row."""
        with self.database.transaction() as session:
            return dict(session.execute(sa.select(TaskRow.id, TaskRow.state)).all())

    def attempts(self, task_id: int) -> list[str | None]:
        """Outcomes of the attempts at a task, oldest first."""
        with self.database.transaction() as session:
            return list(
                session.scalars(
                    sa.select(AttemptRow.outcome)
                    .where(AttemptRow.task_id == task_id)
                    .order_by(AttemptRow.epoch)
                )
            )

    def _readers_of(self, key: str) -> list["_Reader"]:
        with self.database.transaction() as session:
            inputs = session.scalars(sa.select(TaskRow.inputs)).all()
        return [_Reader(i["artifact"]) for row in inputs for i in row if i["key"] == key]


@dataclass(frozen=True)
class _Reader:
    artifact: str


@pytest.fixture
def lab(postgres_url: str, tmp_path: Path) -> Iterator[Lab]:
    database = Database(postgres_url, pool_size=20)
    yield Lab(database, tmp_path / "artifacts")
    database.close()


@pytest.fixture
def pass_time(lab: Lab) -> Callable[[float], None]:
    """Shift the database's clock instead of sleeping."""
    passed = 0.0

    def shift(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        name = lab.database.engine.url.database
        with lab.database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(
                sa.text(f"ALTER DATABASE {name} SET replicalab.clock_shift = '{passed} seconds'")
            )
        lab.database.engine.dispose()

    return shift


@pytest.fixture
def start(
    postgres_url: str, valkey_url: str, lab: Lab, tmp_path: Path
) -> Iterator[Callable[..., Process]]:
    """Starts the worker or the scheduler as a process of its own."""
    variables = environment() | {
        "PYTHONPATH": str(ROOT),
        "REPLICALAB_DATABASE__URL": postgres_url,
        "REPLICALAB_BROKER__URL": valkey_url,
        "REPLICALAB_STORE__KIND": "local",
        "REPLICALAB_STORE__FOLDER": str(lab.folder),
        "REPLICALAB_PEPPER": "of the tests: " + "x" * 32,
        "REPLICALAB_ENGINE__LEASE_SECONDS": str(SHORT_LEASE_SECONDS),
        "REPLICALAB_ENGINE__BEAT_SECONDS": "0.3",
        "REPLICALAB_ENGINE__POLL_SECONDS": "600",
        "REPLICALAB_ENGINE__REDISPATCH_SECONDS": "2",
    }
    with ExitStack() as running:

        def run(module: str, **changes: str) -> Process:
            process = Process(
                Program(
                    name=module,
                    command=[sys.executable, "-m", module],
                    environment=variables | changes,
                    log=tmp_path / f"{module}.log",
                )
            )
            running.callback(process.stop)
            return process

        yield run


@pytest.fixture
def supervisor(lab: Lab, tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor with a real child, in this process."""
    store = LocalStoreSettings(folder=tmp_path / "artifacts")
    settings = EngineSettings(
        lease_seconds=LEASE_SECONDS, beat_seconds=0.1, cancel_grace_seconds=1.0
    )
    running = Supervisor(
        lab.tasks, lambda: ChildProcess(handlers.handlers, store, "INFO"), settings, "w1"
    )
    yield running
    running.close()
