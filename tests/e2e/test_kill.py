"""A worker killed in the middle of a study costs time, never a result."""

import json
import os
import re
import signal
import tempfile
import time
from pathlib import Path
from uuid import UUID

import pytest

from replicalab import Lab
from replicalab.domain.resources import TaskRead
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import TaskKind
from replicalab.stack.embedded import EmbeddedStack

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
PATIENCE_SECONDS = 120.0
SHORT_LEASE = {"REPLICALAB_ENGINE__LEASE_SECONDS": "5", "REPLICALAB_ENGINE__BEAT_SECONDS": "1"}
STUDY = ExperimentSpec.model_validate_json(
    json.dumps(
        {
            "name": "kill",
            "t_re": [0, 6],
            "classifier_seeds": [0],
            "classifier": {"kind": "cifar", "width": 8, "epochs": 3, "batch_size": 64},
            "measures": [{"kind": "accuracy"}, {"kind": "frechet-distance"}],
        }
    )
)


def running(lab: Lab, experiment_id: UUID, kind: TaskKind) -> TaskRead:
    """A task of ``kind`` that is running."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for task in lab.tasks(experiment_id):
            if task.kind is kind and task.state is TaskState.RUNNING:
                return task
        time.sleep(0.05)
    pytest.fail(f"no {kind} task ran")


def test_a_study_whose_workers_are_killed_ends_with_the_same_table(
    stack: EmbeddedStack, server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SHORT_LEASE.items():
        monkeypatch.setenv(name, value)
    data = Path(tempfile.mkdtemp(dir=server_folder)) / "data"
    data.parent.chmod(0o711)
    with Lab(stack.url, stack.token) as calm, EmbeddedStack(data) as another:
        undisturbed = calm.submit(STUDY)  # makes use of the time in which leases expire below
        another.start()
        with Lab(another.url, another.token) as lab:
            experiment = lab.submit(STUDY)
            killed = [
                kill_worker_of(running(lab, experiment.id, kind))
                for kind in (TaskKind.RECONSTRUCT, TaskKind.TRAIN_CLASSIFIER, TaskKind.EVALUATE)
            ]
            assert lab.wait(experiment).state is ExperimentState.SUCCEEDED
            assert any(task.attempts > 1 for task in lab.tasks(experiment) if task.key in killed)
            assert calm.wait(undisturbed).state is ExperimentState.SUCCEEDED
            assert lab.results(experiment).to_csv() == calm.results(undisturbed).to_csv()


def kill_worker_of(task: TaskRead) -> str:
    """Kill the process that runs ``task``; returns the task's key."""
    found = re.search(r":(\d+)$", task.worker or "")
    assert found is not None
    os.kill(int(found[1]), signal.SIGKILL)
    return task.key
