import numpy as np
import pytest
import torch

from replicalab.domain import artifacts
from replicalab.domain.classifiers import CifarResNet18, PaperResNet18
from replicalab.domain.tasks import Embed, TrainClassifier
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import InvalidImageSet, UnsafeCheckpoint
from replicalab.storage.features import FeatureSet, TestLogits
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.classifier_training import ClassifierTraining
from replicalab_worker.pipelines.classifiers import recipe_of
from replicalab_worker.pipelines.embedding import Embedding

CPU = torch.device("cpu")
SMALL = CifarResNet18(width=4, epochs=4, batch_size=8, learning_rate=0.05)


def trained(images: ImageSet, *, seed: int = 0, learning_rate: float = 0.05) -> MemoryContext:
    halves = [images.to_bytes(), images.to_bytes()]
    context = MemoryContext({"train": halves, "test": [images.to_bytes()]})
    classifier = SMALL.model_copy(update={"learning_rate": learning_rate})
    ClassifierTraining(CPU)(context, TrainClassifier(classifier=classifier, classes=2, seed=seed))
    return context


def embedded(images: ImageSet, weights: bytes) -> FeatureSet:
    context = MemoryContext({"images": [images.to_bytes()] * 2, "classifier": [weights]})
    Embedding(CPU)(context, Embed(classifier=SMALL, classes=2))
    return FeatureSet.from_bytes(context.outputs[artifacts.FEATURES])


def test_a_classifier_answers_on_the_test_set(images: ImageSet) -> None:
    context = trained(images, seed=7)
    answers = TestLogits.from_bytes(context.outputs[artifacts.TEST_LOGITS])
    assert answers.seed == 7
    assert np.array_equal(answers.labels, images.labels)
    assert (answers.logits.argmax(axis=1) == images.labels).mean() > 0.9
    assert context.progress_reports


def test_equal_tasks_write_equal_bytes_and_seeds_differ(images: ImageSet) -> None:
    first, again, other = (trained(images, seed=seed).outputs for seed in (0, 0, 1))
    assert first == again
    assert first[artifacts.CLASSIFIER_WEIGHTS] != other[artifacts.CLASSIFIER_WEIGHTS]


def test_stored_weights_give_the_answers_of_the_training_task(images: ImageSet) -> None:
    context = trained(images)
    answers = TestLogits.from_bytes(context.outputs[artifacts.TEST_LOGITS])
    weights = context.outputs[artifacts.CLASSIFIER_WEIGHTS]
    features = embedded(images, weights)
    assert features.features.shape == (80, 32)
    assert features.extractor_sha256 == artifacts.ref_of(weights, "").sha256
    np.testing.assert_allclose(features.logits[:40], answers.logits, rtol=1e-4, atol=1e-4)
    assert np.array_equal(features.labels, np.tile(images.labels, 2))
    assert np.array_equal(features.indices, np.tile(images.indices, 2))


def test_weights_of_another_form_are_refused(images: ImageSet) -> None:
    with pytest.raises(UnsafeCheckpoint, match="do not fit"):
        embedded(images, b"not safetensors")


def test_a_loss_that_is_not_finite_names_step_and_seed(images: ImageSet) -> None:
    with pytest.raises(FloatingPointError, match=r"at step \d+ \(seed 0\)"):
        trained(images, learning_rate=10.0)


def test_sets_of_different_shapes_are_refused(images: ImageSet) -> None:
    small = ImageSet(images.images[:, :4, :4], images.labels, images.indices)
    context = MemoryContext({"train": [images.to_bytes(), small.to_bytes()], "test": []})
    with pytest.raises(InvalidImageSet, match="differ"):
        ClassifierTraining(CPU)(context, TrainClassifier(classifier=SMALL, classes=2, seed=0))
    context = MemoryContext({"train": [images.to_bytes()], "test": [small.to_bytes()]})
    with pytest.raises(InvalidImageSet, match="test set's shape"):
        ClassifierTraining(CPU)(context, TrainClassifier(classifier=SMALL, classes=2, seed=0))


def test_presets_train_as_they_say() -> None:
    cifar = recipe_of(CifarResNet18(shift_pixels=2, flip=True))
    assert (cifar.schedule, cifar.shift_pixels, cifar.is_flipped) == ("one-cycle", 2, True)
    paper = recipe_of(PaperResNet18())
    assert (paper.schedule, paper.learning_rate, paper.epochs) == ("steps", 0.01, 100)
    assert (paper.shift_pixels, paper.is_flipped, paper.batch_size) == (0, False, 64)
