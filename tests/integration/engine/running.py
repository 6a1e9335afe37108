"""Submitting one task whose handler does what it is told, and waiting for what comes of it."""

import threading
import time
from collections.abc import Callable

from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.generators import EdmTraining
from replicalab.domain.resources import ExperimentRead, TaskRead
from replicalab.domain.specs import TrainingSpec
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine.supervisor import Supervisor
from replicalab.stack.processes import Process
from tests.integration.engine.conftest import Lab

PATIENCE_SECONDS = 60.0
Start = Callable[..., Process]
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


def run_next(lab: Lab, supervisor: Supervisor) -> None:
    task_id = lab.tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    assert supervisor.run(task_id)


def start_next(lab: Lab, supervisor: Supervisor) -> threading.Thread:
    thread = threading.Thread(target=run_next, args=(lab, supervisor))
    thread.start()
    return thread
