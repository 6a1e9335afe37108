"""A worker process as it really runs: Celery, supervisor and child, with real servers around it."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.generators import EdmTraining
from replicalab.domain.resources import ExperimentRead, TaskRead
from replicalab.domain.specs import TrainingSpec
from replicalab.domain.states import TaskState
from replicalab.stack.processes import Process, Program
from tests.fixtures import handlers
from tests.fixtures.servers import environment
from tests.integration.engine.conftest import Lab

pytestmark = pytest.mark.integration
PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 3.0
ROOT = Path(__file__).parents[3]
Start = Callable[..., Process]


@pytest.fixture
def start(postgres_url: str, valkey_url: str, lab: Lab, tmp_path: Path) -> Iterator[Start]:
    """Starts the worker or the scheduler as a process of its own."""
    variables = environment() | {
        "PYTHONPATH": str(ROOT),
        "REPLICALAB_DATABASE__URL": postgres_url,
        "REPLICALAB_BROKER__URL": valkey_url,
        "REPLICALAB_STORE__KIND": "local",
        "REPLICALAB_STORE__FOLDER": str(lab.folder),
        "REPLICALAB_PEPPER": "of the tests: " + "x" * 32,
        "REPLICALAB_ENGINE__LEASE_SECONDS": str(LEASE_SECONDS),
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


WORKER, SCHEDULER = "tests.fixtures.service", "replicalab_api.scheduler"


def submit(lab: Lab, behaviour: int) -> ExperimentRead:
    spec = TrainingSpec(
        name="t", dataset=DigitsDataset(split_seed=behaviour), training=EdmTraining(images=1)
    )
    return lab.experiments.submit(spec, owner="ann", idempotency_key=None)[0]


def first_task(lab: Lab, experiment: ExperimentRead) -> TaskRead:
    return lab.experiments.tasks(experiment.id)[0]


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def has_state(lab: Lab, experiment: ExperimentRead, state: TaskState) -> Callable[[], bool]:
    return lambda: first_task(lab, experiment).state is state


def test_a_submission_reaches_the_worker_through_scheduler_and_broker(
    lab: Lab, start: Start
) -> None:
    start(SCHEDULER)
    start(WORKER)
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))


def test_a_killed_worker_loses_nothing(lab: Lab, start: Start) -> None:
    start(SCHEDULER)
    worker = start(WORKER)
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(has_state(lab, experiment, TaskState.QUEUED))
    assert "fell silent" in (first_task(lab, experiment).error or "")
    start(WORKER)
    wait_until(lambda: first_task(lab, experiment).attempts == 2)
    lab.experiments.cancel(experiment.id)
    wait_until(has_state(lab, experiment, TaskState.CANCELLED))


def test_the_child_does_not_outlive_its_supervisor(lab: Lab, start: Start) -> None:
    start(SCHEDULER)
    worker = start(WORKER)
    experiment = submit(lab, handlers.IGNORE_STOPS)
    wait_until(has_state(lab, experiment, TaskState.RUNNING))
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    assert children
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not any(_is_running(pid) for pid in children))


def _is_running(pid: str) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_worker_told_to_stop_gives_its_task_back_at_once(lab: Lab, start: Start) -> None:
    start(SCHEDULER)
    worker = start(WORKER)
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    os.kill(worker.pid, signal.SIGTERM)
    wait_until(has_state(lab, experiment, TaskState.QUEUED))
    wait_until(lambda: worker.exit_code == 0)
    assert first_task(lab, experiment).error_class is None


def test_garbage_in_the_queue_is_dropped_and_the_worker_lives(
    lab: Lab, start: Start, valkey_url: str
) -> None:
    with redis.Redis.from_url(valkey_url) as broker:
        broker.rpush("replicalab:worker", b"\xff not json", b"{}")
    start(SCHEDULER)
    start(WORKER)
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))


def test_a_flushed_broker_loses_no_task(lab: Lab, start: Start, valkey_url: str) -> None:
    start(SCHEDULER)
    experiment = submit(lab, handlers.SUCCEED)
    with redis.Redis.from_url(valkey_url) as broker:
        wait_until(lambda: bool(broker.llen("replicalab:worker")))
        broker.flushall()
    start(WORKER)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))


def test_without_a_broker_the_worker_finds_its_work(lab: Lab, start: Start) -> None:
    start(
        WORKER,
        REPLICALAB_BROKER__URL="redis://127.0.0.1:9/0",
        REPLICALAB_ENGINE__POLL_SECONDS="0.5",
    )
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))
