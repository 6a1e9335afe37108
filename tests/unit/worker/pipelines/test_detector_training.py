"""Detectors find what can be found, and nothing where there is nothing."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from replicalab.domain import artifacts
from replicalab.domain.classifiers import CifarResNet18, ClassifierSpec, PaperResNet18
from replicalab.domain.detection import DetectionDomain, DetectionSplit
from replicalab.domain.tasks import TrainDetector
from replicalab.engine.handlers import MemoryContext, TaskStopped
from replicalab.errors import InvalidImageSet, InvalidMeasureInput
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.detections import Detections
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.detector_training import DetectorTraining
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.pretrained import PretrainedWeights

CPU = torch.device("cpu")
WEIGHTS = PretrainedWeights(PinnedFolder(Path("nowhere"), WeightsUnavailable))
SMALL = CifarResNet18(width=4, epochs=6, batch_size=32, learning_rate=0.05)
QUICK = SMALL.model_copy(update={"epochs": 1})
SOURCES, CLASSES = 240, 3
DOMAINS: tuple[DetectionDomain, ...] = ("pixels", "dct")

Pixels = npt.NDArray[np.float64]


def scenes(seed: int) -> Pixels:
    """Smooth 8x8 images of three classes: a wave of random phase and height, and some noise."""
    rng = np.random.default_rng(seed)
    waves = 2 * np.pi * (1 + np.arange(SOURCES) % CLASSES) / 16
    phases = rng.uniform(0, 2 * np.pi, SOURCES)
    heights = rng.uniform(30, 60, SOURCES)[:, None, None, None]
    lines = np.sin(waves[:, None] * np.arange(8) + phases[:, None])[:, None, :, None]
    return 128 + heights * lines + rng.normal(0, 1, (SOURCES, 8, 8, 1))


def image_set(pixels: Pixels) -> ImageSet:
    stored = np.rint(pixels.clip(0, 255)).astype(np.uint8)
    places = np.arange(SOURCES, dtype=np.int64)
    return ImageSet(stored, places % CLASSES, places)


REAL = image_set(scenes(0))
CHECKERBOARD = (2.0 * (np.indices((8, 8)).sum(axis=0) % 2) - 1)[..., None]


class StoppedContext(MemoryContext):
    """Is told to stop at its first report."""

    def progress(self, done: float, total: float, stage: str = "") -> None:
        super().progress(done, total, stage)
        raise TaskStopped


def params(
    domain: DetectionDomain = "pixels",
    *,
    classifier: ClassifierSpec = SMALL,
    split: DetectionSplit = DetectionSplit(),  # noqa: B008
    seed: int = 0,
) -> TrainDetector:
    return TrainDetector(classifier=classifier, domain=domain, split=split, seed=seed)


def trained(asked: TrainDetector, *fakes: ImageSet, real: ImageSet = REAL) -> MemoryContext:
    context = MemoryContext(
        {"real": [real.to_bytes()], "fake": [fake.to_bytes() for fake in fakes]}
    )
    DetectorTraining(CPU, WEIGHTS)(context, asked)
    return context


def detections(asked: TrainDetector, *fakes: ImageSet, real: ImageSet = REAL) -> Detections:
    return Detections.from_bytes(trained(asked, *fakes, real=real).outputs[artifacts.DETECTIONS])


def accuracy(found: Detections) -> float:
    return float((found.logits.argmax(axis=1) == found.labels).mean())


def test_a_checkerboard_that_no_eye_sees_is_found_by_its_frequency() -> None:
    fake = image_set(scenes(0) + 2 * CHECKERBOARD)
    assert accuracy(detections(params("dct"), fake)) > 0.95


def test_dark_reconstructions_are_found_by_their_pixels() -> None:
    assert accuracy(detections(params("pixels"), image_set(scenes(1) - 40))) > 0.9


@pytest.mark.parametrize("domain", DOMAINS)
def test_fresh_draws_of_the_same_images_cannot_be_told(domain: DetectionDomain) -> None:
    found = detections(params(domain, split=DetectionSplit(test_share=0.5)), image_set(scenes(1)))
    # 240 answers at chance have a standard deviation of 0.032.
    assert accuracy(found) == pytest.approx(0.5, abs=0.13)


@pytest.mark.parametrize("domain", DOMAINS)
def test_copies_get_the_answers_of_their_originals(domain: DetectionDomain) -> None:
    found = detections(params(domain), REAL)
    originals, copies = np.array_split(found.logits, 2)
    np.testing.assert_allclose(originals, copies, rtol=0, atol=1e-5)
    assert accuracy(found) == pytest.approx(0.5, abs=0.05)


def test_only_sources_that_were_not_learnt_from_are_tested() -> None:
    asked = params(classifier=QUICK, split=DetectionSplit(test_share=0.25, seed=4), seed=7)
    found = detections(asked, image_set(scenes(1)))
    assert (found.seed, found.split_seed) == (7, 4)
    assert (found.sources, found.learnt_sources) == (60, 180)
    assert np.array_equal(found.classes, REAL.labels[found.indices])
    assert np.bincount(found.classes[:60]).tolist() == [20, 20, 20]

    # Other test images give the same detector, so only the answers on them change.
    pixels = scenes(1)
    pixels[found.indices[0]] += 90
    changed = detections(asked, image_set(pixels))
    is_same = (changed.logits == found.logits).all(axis=1)
    assert np.flatnonzero(~is_same).tolist() == [60]


def test_the_split_is_that_of_its_seed_for_every_domain_and_training_seed() -> None:
    fake = image_set(scenes(1))
    asked = (
        params("pixels", classifier=QUICK),
        params("dct", classifier=QUICK),
        params("pixels", classifier=QUICK, seed=1),
    )
    places = [detections(each, fake).indices for each in asked]
    assert np.array_equal(places[0], places[1])
    assert np.array_equal(places[0], places[2])
    other = params(classifier=QUICK, split=DetectionSplit(seed=1))
    assert not np.array_equal(places[0], detections(other, fake).indices)


def test_parts_of_the_set_are_put_together_in_order() -> None:
    whole = image_set(scenes(1))
    first, second = (
        ImageSet(whole.images[part], whole.labels[part], whole.indices[part])
        for part in (slice(0, 100), slice(100, None))
    )
    asked = params(classifier=QUICK)
    in_one, in_two = trained(asked, whole), trained(asked, first, second)
    assert in_one.outputs == in_two.outputs
    with pytest.raises(InvalidImageSet, match="place of its original"):
        trained(asked, second, first)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_training_that_was_stopped_begins_anew_and_writes_the_same_bytes(
    domain: DetectionDomain,
) -> None:
    fake = image_set(scenes(1))
    asked, another = (params(domain, classifier=QUICK, seed=seed) for seed in (0, 1))
    whole, other = trained(asked, fake).outputs, trained(another, fake).outputs
    stopped = StoppedContext({"real": [REAL.to_bytes()], "fake": [fake.to_bytes()]})
    handler = DetectorTraining(CPU, WEIGHTS)
    with pytest.raises(TaskStopped):
        handler(stopped, asked)
    assert not stopped.outputs
    again = MemoryContext(stopped.inputs)
    handler(again, asked)
    assert again.outputs == whole
    assert whole != other
    assert f"training detector ({domain})" in {stage for _, _, stage in again.progress_reports}


def test_the_large_preset_sees_a_spectrum_too() -> None:
    real, fake = (
        ImageSet(each.images[:6], each.labels[:6], each.indices[:6])
        for each in (REAL, image_set(scenes(1)))
    )
    large = params("dct", classifier=PaperResNet18(epochs=1, batch_size=8))
    assert detections(large, fake, real=real).sources == CLASSES


def test_a_class_of_one_image_is_refused_by_name() -> None:
    labels = np.where(np.arange(SOURCES) == 17, 8, 0)
    single = ImageSet(REAL.images, labels, REAL.indices)
    with pytest.raises(InvalidMeasureInput, match="Class 8 has 1 image"):
        trained(params(), single, real=single)


def test_images_of_one_pixel_are_refused() -> None:
    dots = ImageSet(REAL.images[:, :1, :1], REAL.labels, REAL.indices)
    with pytest.raises(InvalidMeasureInput, match="one pixel"):
        trained(params("dct"), dots, real=dots)


def test_sets_of_unlike_shape_or_without_their_originals_are_refused() -> None:
    cut = ImageSet(REAL.images[:, :4], REAL.labels, REAL.indices)
    few = ImageSet(REAL.images[:9], REAL.labels[:9], REAL.indices[:9])
    for fake in (cut, few):
        with pytest.raises(InvalidImageSet, match="one shape"):
            trained(params(), fake)
    other = ImageSet(REAL.images, REAL.labels, REAL.indices + 1)
    with pytest.raises(InvalidImageSet, match="place of its original"):
        trained(params(), other)
    twice = ImageSet(REAL.images, REAL.labels, REAL.indices // 2)
    with pytest.raises(InvalidImageSet, match="no original twice"):
        trained(params(), twice, real=twice)
