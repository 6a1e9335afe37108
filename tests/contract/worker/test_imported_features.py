"""A study compared by the classifier of a data set that somebody has imported."""

import json
from pathlib import Path

import numpy as np
import pytest

from replicalab.domain import artifacts
from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import DatasetContents, DatasetRecipe, RegisteredDataset
from replicalab.domain.features import ClassifierFeatures
from replicalab.domain.measures import AccuracyMeasure, DensityCoverageMeasure
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import TaskKind, TrainClassifier
from replicalab.planning.plan import plan
from replicalab.storage.features import FeatureSet
from tests.contract.worker.test_published_features import run
from tests.fixtures.dataset_files import npz

pytestmark = pytest.mark.slow  # imports torch, trains classifiers

IMAGES, CLASSES = 60, 3


def uploaded() -> bytes:
    """Grey images of the digits' size, of classes that differ in brightness."""
    draws = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    images = draws.integers(0, 80, (IMAGES, 8, 8, 1)) + 80 * labels[:, None, None, None]
    return npz(images=images.astype(np.uint8), labels=labels)


def test_digits_are_compared_by_the_classifier_of_an_imported_data_set(tmp_path: Path) -> None:
    body = uploaded()
    contents = DatasetContents(
        file=artifacts.ref_of(body, artifacts.BINARY),
        recipe=DatasetRecipe(),
        licence="CC0",
        train_images=48,
        test_images=12,
        classes=CLASSES,
        resolution=8,
        channels=1,
    )
    dataset = RegisteredDataset(name="shades", version="ab" * 32, contents=contents)
    small = CifarResNet18(width=8, epochs=1)
    spec = ExperimentSpec(
        name="digits by shades",
        t_re=(0,),
        classifier=small,
        classifier_seeds=(0,),
        features=ClassifierFeatures(dataset=dataset, classifier=small, seed=3),
        measures=(AccuracyMeasure(), DensityCoverageMeasure()),
    )
    outputs = run(spec, tmp_path, files=[body])
    tasks = {task.key: task for task in plan(spec).tasks}
    (trained,) = (
        key
        for key, task in tasks.items()
        if isinstance(task.params, TrainClassifier) and task.params.classes == CLASSES
    )
    weights = artifacts.ref_of(
        outputs[trained][artifacts.CLASSIFIER_WEIGHTS], artifacts.SAFETENSORS
    )
    embedded = [
        FeatureSet.from_bytes(outputs[key][artifacts.FEATURES])
        for key, task in tasks.items()
        if task.kind is TaskKind.EMBED
    ]
    assert {len(each) for each in embedded} == {1297, 500}
    for features in embedded:
        assert features.extractor_sha256 == weights.sha256
        assert features.answers.shape[1] == CLASSES
    *_, report = outputs.values()
    found = json.loads(report[artifacts.RESULTS_JSON])["measurements"]
    recipes = [each["recipe"] for each in found if each["name"] == "coverage"]
    assert {recipe["extractor_sha256"] for recipe in recipes} == {weights.sha256}
    assert "a classifier trained on shades" in report[artifacts.REPORT].decode()
