"""A study in a published space, planned and run by the handlers of both services."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from replicalab.domain import artifacts
from replicalab.domain.measures import FrechetMeasure, PrecisionRecallMeasure
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Queue, TaskKey, TaskKind
from replicalab.engine.handlers import MemoryContext
from replicalab.file_errors import DatasetUnavailable, WeightsUnavailable
from replicalab.planning.plan import plan
from replicalab.storage.folder_descriptions import describe
from replicalab_metrics.evaluations import registry as metrics
from replicalab_worker.pipelines import registry as worker
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.science.embedding.inception import FidInception
from tests.fixtures.inception import SHALLOWEST, features_pinned_in, write_weights

"""Of the shallowest features: quick, and the rest of the path is the same."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with noise in two classes, and random weights under the published name."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 5)):
        for number in range(2 * count):
            path = tmp_path / "noise" / split / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    torch.manual_seed(0)
    return write_weights(FidInception(), tmp_path)


def test_a_planned_study_in_the_inception_space_is_run_and_reported(folder: Path) -> None:
    features = features_pinned_in(folder)
    spec = ExperimentSpec(
        name="inception",
        dataset=describe(folder / "noise"),
        t_re=(0,),
        features=features,
        measures=(FrechetMeasure(), PrecisionRecallMeasure()),
    )
    outputs = run(spec, folder)
    tasks = {task.kind: task.key for task in plan(spec).tasks}
    report = outputs[tasks[TaskKind.REPORT]]
    recipes = [
        each["recipe"]
        for each in json.loads(report[artifacts.RESULTS_JSON])["measurements"]
        if each["reference"] == "test"
    ]
    assert len(recipes) == 3
    for recipe in recipes:
        assert recipe["space"] == "inception-v3 64"
        assert recipe["extractor_sha256"] == features.weights_sha256
        assert recipe["dimension"] == SHALLOWEST
    page = report[artifacts.REPORT].decode()
    assert "Inception-v3 with the FID weights (Apache License 2.0)" in page
    assert features.weights_sha256 in page


def run(
    spec: ExperimentSpec, folder: Path, files: Sequence[bytes] = ()
) -> dict[TaskKey, dict[str, bytes]]:
    """What every task of ``spec`` writes, each given what the tasks before it wrote.

    Args:
        spec: A study.
        folder: Of pinned files.
        files: That were uploaded.
    """
    handlers = {
        Queue.WORKER: worker.handlers(
            PinnedFolder(folder, DatasetUnavailable), PinnedFolder(folder, WeightsUnavailable)
        ),
        Queue.METRICS: metrics.handlers(),
    }
    outputs: dict[TaskKey, dict[str, bytes]] = {}
    for task in plan(spec).tasks:
        inputs: dict[str, list[bytes]] = {}
        for each in task.inputs:
            inputs.setdefault(each.role, []).append(outputs[each.key][each.artifact])
        context = MemoryContext(inputs, files)
        handlers[task.queue][task.kind](context, task.params)
        outputs[task.key] = context.outputs
    return outputs
