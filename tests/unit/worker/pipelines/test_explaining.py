"""Heat maps as a task."""

from pathlib import Path

import numpy as np
import pytest
import torch

from replicalab.domain import artifacts
from replicalab.domain.classifiers import CifarResNet18, ResidualBlock
from replicalab.domain.tasks import Explain, TrainClassifier
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import IncompatibleParts, InvalidImageSet, UnsafeCheckpoint
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.features import TestLogits
from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.classifier_training import ClassifierTraining
from replicalab_worker.pipelines.explaining import Explaining, first_of_every_class
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.pretrained import PretrainedWeights

CPU = torch.device("cpu")
NOWHERE = PretrainedWeights(PinnedFolder(Path("nowhere"), WeightsUnavailable))
SMALL = CifarResNet18(width=4, epochs=2, batch_size=8, learning_rate=0.05)


@pytest.fixture(scope="module")
def training(images: ImageSet) -> MemoryContext:
    """The context of a finished classifier training."""
    context = MemoryContext({"train": [images.to_bytes()], "test": [images.to_bytes()]})
    ClassifierTraining(CPU, NOWHERE)(context, TrainClassifier(classifier=SMALL, classes=2, seed=7))
    return context


def explained(
    images: ImageSet, weights: bytes, *, block: ResidualBlock = 2, classes: int = 2, count: int = 5
) -> MemoryContext:
    context = MemoryContext({"test": [images.to_bytes()], "classifier": [weights]})
    params = Explain(classifier=SMALL, classes=classes, block=block, images_per_class=count, seed=7)
    Explaining(CPU)(context, params)
    return context


def test_maps_are_of_the_first_images_of_every_class(
    images: ImageSet, training: MemoryContext
) -> None:
    weights = training.outputs[artifacts.CLASSIFIER_WEIGHTS]
    context = explained(images, weights, count=5)
    found = HeatMaps.from_bytes(context.outputs[artifacts.HEAT_MAPS])
    assert found.indices.tolist() == list(range(10))
    assert found.labels.tolist() == [0, 1] * 5
    assert found.maps.shape == (10, 4, 4)
    assert found.image_size.tolist() == [8, 8]
    assert (found.block, found.seed) == (2, 7)
    assert found.classifier_sha256 == artifacts.ref_of(weights, "").sha256
    assert found.maps.max() > 0
    answers = TestLogits.from_bytes(training.outputs[artifacts.TEST_LOGITS]).logits
    assert found.predictions.tolist() == answers[:10].argmax(axis=1).tolist()
    assert context.progress_reports[-1][:2] == (10, 10)


def test_equal_tasks_write_equal_bytes(images: ImageSet, training: MemoryContext) -> None:
    weights = training.outputs[artifacts.CLASSIFIER_WEIGHTS]
    assert explained(images, weights).outputs == explained(images, weights).outputs


@pytest.mark.parametrize(("block", "side"), [(1, 8), (3, 2)])
def test_every_block_has_maps_of_its_own_size(
    images: ImageSet, training: MemoryContext, block: ResidualBlock, side: int
) -> None:
    context = explained(images, training.outputs[artifacts.CLASSIFIER_WEIGHTS], block=block)
    found = HeatMaps.from_bytes(context.outputs[artifacts.HEAT_MAPS])
    assert found.maps.shape[1:] == (side, side)


def test_a_map_of_one_position_is_refused(images: ImageSet, training: MemoryContext) -> None:
    with pytest.raises(IncompatibleParts, match=r"Block 4 .* 1 x 1 .* take an earlier block"):
        explained(images, training.outputs[artifacts.CLASSIFIER_WEIGHTS], block=4)


def test_weights_and_labels_of_another_classifier_are_refused(
    images: ImageSet, training: MemoryContext
) -> None:
    weights = training.outputs[artifacts.CLASSIFIER_WEIGHTS]
    with pytest.raises(UnsafeCheckpoint, match="do not fit"):
        explained(images, weights, classes=3)
    labels = images.labels + 1
    with pytest.raises(InvalidImageSet, match="holds the label 2"):
        explained(ImageSet(images.images, labels, images.indices), weights)


def test_the_first_are_first_by_index_and_a_small_class_gives_all_it_has() -> None:
    labels, indices = np.array([1, 0, 0, 0, 1]), np.array([9, 5, 0, 3, 4])
    pixels = np.arange(5, dtype=np.uint8)[:, None, None, None]
    chosen = first_of_every_class(ImageSet(pixels, labels, indices), 2)
    assert chosen.indices.tolist() == [0, 3, 4, 9]
    assert chosen.labels.tolist() == [0, 0, 1, 1]
    assert chosen.images.ravel().tolist() == [2, 3, 4, 0]
