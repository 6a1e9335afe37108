"""Training a detector of reconstructions as a task."""

from typing import assert_never

import numpy as np
import numpy.typing as npt
import torch

from replicalab.domain import artifacts
from replicalab.domain.tasks import TrainDetector
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidImageSet, InvalidMeasureInput
from replicalab.storage.detections import FAKE, REAL, Detections
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.classifier_trainer import ClassifierTrainer
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.pipelines.pretrained import PretrainedWeights
from replicalab_worker.science.classifier.networks import Classifier
from replicalab_worker.science.classifier.spectra import LogSpectrum, SpectralClassifier
from replicalab_worker.science.pairs import held_out_sources
from replicalab_worker.science.pixels import to_levels

FEWEST_SOURCES = 2
"""Of every class: one to learn from and one to test."""


class DetectorTraining:
    """Handler of ``train-detector``.

    The study's paper gives the accuracy of a pixel and a DCT detector and says neither which
    networks they are nor how they were trained or split. Chosen here: the network and the training
    of a classifier specification for both, augmentation of the pixels included (before the cosine
    transform, where a shift is a shift and a flip changes nothing), as many originals as
    reconstructions, and no image tested whose counterpart was learnt from.
    """

    def __init__(self, device: torch.device, pretrained: PretrainedWeights) -> None:
        self._trainer = ClassifierTrainer(device, pretrained)

    def __call__(self, context: TaskContext, params: TrainDetector) -> None:
        """Learn from some sources, then write the answers on the others."""
        real, fake = _read_pairs(context)
        is_tested = held_out_sources(real.labels, params.split.test_share, params.split.seed)
        learnt, tested = (_beside(real, fake, where) for where in (~is_tested, is_tested))
        network = self._untrained(context, params, learnt)
        stage = f"training detector ({params.domain})"
        self._trainer.train(
            context, network, learnt, params.classifier, seed=params.seed, stage=stage
        )
        detections = Detections(
            self._trainer.answers(network, tested, params.classifier),
            tested.labels,
            tested.indices,
            np.tile(real.labels[is_tested], 2),
            params.seed,
            params.split.seed,
            learnt_sources=int((~is_tested).sum()),
        )
        context.write(artifacts.DETECTIONS, detections.to_bytes(), artifacts.NPZ)

    def _untrained(
        self, context: TaskContext, params: TrainDetector, learnt: ImageSet
    ) -> Classifier | SpectralClassifier:
        """The classifier, behind a spectrum that is standardised by what is learnt from."""
        _, height, width, channels = learnt.images.shape
        classifier = self._trainer.untrained(
            context, params.classifier, channels=channels, classes=2, seed=params.seed
        )
        match params.domain:
            case "pixels":
                return classifier
            case "dct":
                device = self._trainer.device
                spectrum = LogSpectrum(channels=channels, height=height, width=width).to(device)
                spectrum.standardise(to_levels(learnt.images).to(device))
                return SpectralClassifier(spectrum, classifier)
            case _:
                assert_never(params.domain)


def _read_pairs(context: TaskContext) -> tuple[ImageSet, ImageSet]:
    """Originals and, in the same order, their reconstructions."""
    real = read_images(context, "real", classes=None)
    fake = read_images(context, "fake", classes=None)
    if real.images.shape != fake.images.shape:
        raise InvalidImageSet(
            f"Originals and reconstructions must have one shape, not {real.images.shape} and "
            f"{fake.images.shape} (image, height, width, channel)."
        )
    is_paired = np.array_equal(real.indices, fake.indices)
    if not is_paired or len(np.unique(real.indices)) < len(real):
        raise InvalidImageSet(
            "Every reconstruction must stand at the place of its original, and no original twice."
        )
    _check_sources(real)
    return real, fake


def _check_sources(real: ImageSet) -> None:
    if real.images.shape[1:3] == (1, 1):
        raise InvalidMeasureInput(
            "Images of one pixel have no frequencies and no neighbouring pixels to tell them apart "
            "by; leave fake-detection out."
        )
    classes, counts = np.unique(real.labels, return_counts=True)
    if counts.min() < FEWEST_SOURCES:
        raise InvalidMeasureInput(
            f"Class {classes[counts.argmin()]} has {counts.min()} image; fake-detection learns "
            "from some images of every class and tests on others. Give every class at least "
            f"{FEWEST_SOURCES}, or leave the measure out."
        )


def _beside(real: ImageSet, fake: ImageSet, where: npt.NDArray[np.bool_]) -> ImageSet:
    """Originals, then their reconstructions, labelled as what they are."""
    return ImageSet(
        np.concatenate([real.images[where], fake.images[where]]),
        np.repeat(np.array([REAL, FAKE], dtype=np.int64), where.sum()),
        np.tile(real.indices[where], 2),
    )
