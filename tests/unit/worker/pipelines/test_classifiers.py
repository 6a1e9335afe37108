import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torchvision.models import resnet18

from replicalab.domain import artifacts
from replicalab.domain.classifiers import CifarResNet18, ClassifierSpec, PaperResNet18
from replicalab.domain.tasks import Embed, TrainClassifier
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import (
    IncompatibleParts,
    InvalidImageSet,
    UnsafeCheckpoint,
)
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.features import FeatureSet, TestLogits
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.classifier_training import ClassifierTraining
from replicalab_worker.pipelines.classifiers import recipe_of
from replicalab_worker.pipelines.embedding import Embedding
from replicalab_worker.pipelines.pinned_files import PinnedFile, PinnedFolder
from replicalab_worker.pipelines.pretrained import PretrainedWeights
from replicalab_worker.runtime.device import computes_in_bfloat16

CPU = torch.device("cpu")
WEIGHTS = PretrainedWeights(PinnedFolder(Path("nowhere"), WeightsUnavailable))
SMALL = CifarResNet18(width=4, epochs=4, batch_size=8, learning_rate=0.05)


def trained(
    images: ImageSet,
    *,
    seed: int = 0,
    classifier: ClassifierSpec = SMALL,
    weights: PretrainedWeights = WEIGHTS,
) -> MemoryContext:
    halves = [images.to_bytes(), images.to_bytes()]
    context = MemoryContext({"train": halves, "test": [images.to_bytes()]})
    params = TrainClassifier(classifier=classifier, classes=2, seed=seed)
    ClassifierTraining(CPU, weights)(context, params)
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
    np.testing.assert_allclose(features.answers[:40], answers.logits, rtol=1e-4, atol=1e-4)
    assert np.array_equal(features.labels, np.tile(images.labels, 2))
    assert np.array_equal(features.indices, np.tile(images.indices, 2))


def test_weights_of_another_form_are_refused(images: ImageSet) -> None:
    with pytest.raises(UnsafeCheckpoint, match="do not fit"):
        embedded(images, b"not safetensors")


def test_a_loss_that_is_not_finite_names_step_and_seed(images: ImageSet) -> None:
    with pytest.raises(FloatingPointError, match=r"at step \d+ \(seed 0\)"):
        trained(images, classifier=SMALL.model_copy(update={"learning_rate": 10.0}))


def test_sets_of_different_shapes_are_refused(images: ImageSet) -> None:
    small = ImageSet(images.images[:, :4, :4], images.labels, images.indices)
    params = TrainClassifier(classifier=SMALL, classes=2, seed=0)
    context = MemoryContext({"train": [images.to_bytes(), small.to_bytes()], "test": []})
    with pytest.raises(InvalidImageSet, match="differ"):
        ClassifierTraining(CPU, WEIGHTS)(context, params)
    context = MemoryContext({"train": [images.to_bytes()], "test": [small.to_bytes()]})
    with pytest.raises(InvalidImageSet, match="test set's shape"):
        ClassifierTraining(CPU, WEIGHTS)(context, params)


def test_presets_train_as_they_say() -> None:
    cifar = recipe_of(CifarResNet18(shift_pixels=2, flip=True), CPU)
    assert (cifar.schedule, cifar.shift_pixels, cifar.is_flipped) == ("one-cycle", 2, True)
    paper = recipe_of(PaperResNet18(), CPU)
    assert (paper.schedule, paper.learning_rate, paper.epochs) == ("steps", 0.01, 100)
    assert (paper.shift_pixels, paper.is_flipped, paper.batch_size) == (0, False, 64)
    augmented = recipe_of(PaperResNet18(shift_pixels=4, flip=True), CPU)
    assert (augmented.shift_pixels, augmented.is_flipped) == (4, True)


def test_lower_precision_trains_other_weights_and_as_well(images: ImageSet) -> None:
    context = trained(images, classifier=SMALL.model_copy(update={"precision": "bfloat16"}))
    answers = TestLogits.from_bytes(context.outputs[artifacts.TEST_LOGITS])
    assert (answers.logits.argmax(axis=1) == images.labels).mean() > 0.9
    exact = trained(images).outputs[artifacts.CLASSIFIER_WEIGHTS]
    same = context.outputs[artifacts.CLASSIFIER_WEIGHTS] == exact
    assert same != computes_in_bfloat16(CPU)


def test_a_precision_that_the_device_lacks_is_refused(images: ImageSet) -> None:
    with pytest.raises(IncompatibleParts, match="float16 needs a worker with a GPU"):
        trained(images, classifier=SMALL.model_copy(update={"precision": "float16"}))


PRETRAINED = PaperResNet18(epochs=1, batch_size=40, learning_rate=1e-6, pretrained=True)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> PretrainedWeights:
    """A file of weights like the published one, with a digest of its own."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    torch.save(resnet18().state_dict(), folder / "resnet18.pth")
    sha256 = hashlib.sha256((folder / "resnet18.pth").read_bytes()).hexdigest()
    file = PinnedFile("resnet18.pth", sha256, "https://example.org/resnet18.pth")
    return PretrainedWeights(PinnedFolder(folder, WeightsUnavailable), file)


def test_published_weights_begin_a_training_and_are_named_in_its_result(
    images: ImageSet, published: PretrainedWeights, tmp_path: Path
) -> None:
    few = ImageSet(images.images[:4], images.labels[:4], images.indices[:4])
    context = trained(few, classifier=PRETRAINED, weights=published)
    path = tmp_path / "classifier.safetensors"
    path.write_bytes(context.outputs[artifacts.CLASSIFIER_WEIGHTS])
    begin = published.read(context.progress)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"initialised_from_sha256": published.file.sha256}
        torch.testing.assert_close(
            file.get_tensor("body.conv1.weight"), begin["conv1.weight"], rtol=0, atol=1e-4
        )
        assert file.get_tensor("head.weight").shape == (2, 512)


def test_published_weights_that_are_missing_name_file_digest_and_folder(images: ImageSet) -> None:
    with pytest.raises(WeightsUnavailable, match=r"resnet18-f37072fd\.pth is missing") as caught:
        trained(images, classifier=PRETRAINED)
    assert caught.value.extensions["folder"] == "nowhere"
    assert str(caught.value.extensions["sha256"]).startswith("f37072fd")


def test_published_weights_of_another_network_are_refused(images: ImageSet, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "none.pth").write_bytes(b"not weights")
    for name, problem in (("other.pth", "does not hold a ResNet-18"), ("none.pth", "not a file")):
        sha256 = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        file = PinnedFile(name, sha256, "https://example.org")
        weights = PretrainedWeights(PinnedFolder(tmp_path, WeightsUnavailable), file)
        with pytest.raises(WeightsUnavailable, match=problem):
            trained(images, classifier=PRETRAINED, weights=weights)
