import json

import pytest
import torch
from safetensors.torch import load

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining
from replicalab.domain.tasks import TrainGenerator
from replicalab.engine.handlers import MemoryContext, TaskStopped
from replicalab.errors import InvalidImageSet
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.generator_training import GeneratorTraining
from replicalab_worker.weights.description import GeneratorDescription, TrainedHere

CPU = torch.device("cpu")


def test_the_description_says_what_is_needed_to_use_the_weights(
    trained: MemoryContext, training: EdmTraining
) -> None:
    description = GeneratorDescription.from_bytes(trained.outputs[artifacts.GENERATOR_DESCRIPTION])
    assert isinstance(description.origin, TrainedHere)
    assert description.origin.training == training
    assert description.network == training.network
    assert (description.resolution, description.channels, description.classes) == (8, 1, 2)
    assert description.origin.images_seen == 640
    assert description.augment_labels == 9
    weights = trained.outputs[artifacts.GENERATOR_WEIGHTS]
    assert description.weights_sha256 == artifacts.ref_of(weights, "").sha256
    assert load(weights)["model.map_augment.weight"].shape == (8, 9)


def test_the_curve_falls_against_images_seen(trained: MemoryContext) -> None:
    curve = json.loads(trained.outputs[artifacts.TRAINING_CURVE])
    assert curve["images_seen"] == list(range(32, 641, 32))
    assert sum(curve["loss"][-5:]) < sum(curve["loss"][:5])


def test_progress_is_reported_in_images(trained: MemoryContext) -> None:
    done = [done for done, total, _ in trained.progress_reports if total == 640]
    assert done == sorted(done)
    assert 0 < done[-1] <= 640


def test_equal_tasks_write_equal_bytes(
    images: ImageSet, training: EdmTraining, trained: MemoryContext
) -> None:
    again = MemoryContext({"train": [images.to_bytes()]})
    GeneratorTraining(CPU)(again, TrainGenerator(training=training, classes=2))
    assert again.outputs == trained.outputs


def test_a_loss_that_is_not_finite_names_step_and_seed(
    images: ImageSet, training: EdmTraining
) -> None:
    wild = training.model_copy(update={"learning_rate": 1e30, "warmup_images": 0})
    context = MemoryContext({"train": [images.to_bytes()]})
    with pytest.raises(FloatingPointError, match=r"at step \d+ \(seed 3\).*learning rate"):
        GeneratorTraining(CPU)(context, TrainGenerator(training=wild, classes=2))
    assert context.outputs == {}


def test_labels_beyond_the_classes_are_refused(images: ImageSet, training: EdmTraining) -> None:
    context = MemoryContext({"train": [images.to_bytes()]})
    with pytest.raises(InvalidImageSet, match="label 1"):
        GeneratorTraining(CPU)(context, TrainGenerator(training=training, classes=1))


class StoppedContext(MemoryContext):
    """Stops the task at its first report."""

    def progress(self, done: float, total: float, stage: str = "") -> None:
        super().progress(done, total, stage)
        raise TaskStopped


def test_a_stopped_training_writes_nothing(images: ImageSet, training: EdmTraining) -> None:
    context = StoppedContext({"train": [images.to_bytes()]})
    with pytest.raises(TaskStopped):
        GeneratorTraining(CPU)(context, TrainGenerator(training=training, classes=2))
    assert context.outputs == {}
