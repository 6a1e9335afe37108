"""Judging what a generator makes of the digits: reconstruct, embed, compare with the real set."""

from pathlib import Path

import torch

from replicalab.domain import artifacts
from replicalab.domain.generators import bundled_weights
from replicalab.domain.measures import FrechetMeasure, Measurement
from replicalab.domain.precisions import Precision
from replicalab.domain.presets import digits_study, digits_training
from replicalab.domain.tasks import (
    Embed,
    Evaluate,
    PrepareDataset,
    Reconstruct,
    TrainClassifier,
    TrainGenerator,
)
from replicalab.engine.handlers import MemoryContext
from replicalab.file_errors import DatasetUnavailable, WeightsUnavailable
from replicalab.planning.plan import plan
from replicalab.storage.features import FeatureSet
from replicalab_metrics.evaluations import distances
from replicalab_metrics.evaluations.inputs import ComparedSets
from replicalab_worker.pipelines.classifier_training import ClassifierTraining
from replicalab_worker.pipelines.datasets import DatasetPreparation
from replicalab_worker.pipelines.embedding import Embedding
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.pretrained import PretrainedWeights
from replicalab_worker.pipelines.reconstruction import Reconstruction
from replicalab_worker.weights.bundled import read_bundled

CPU = torch.device("cpu")
STUDY = digits_study()
STEPS = STUDY.sampler.steps
SHIPPED = "edm-digits"
NOWHERE = Path()

Generator = tuple[bytes, bytes]
"""Weights and description."""


def shipped_generator() -> Generator:
    """``edm-digits`` as the worker brings it."""
    return read_bundled(SHIPPED, bundled_weights(SHIPPED).sha256)


class DigitsJudge:
    """Frechet distances to the real digits, in the in-domain features of the demo study.

    Attributes:
        train: The training split, an image set.
        training: How ``edm-digits`` is trained on it.

    Args:
        device: Where images are reconstructed; they are judged on a processor.
    """

    def __init__(self, device: torch.device = CPU) -> None:
        self._device = device
        dataset, self.training = (task.params for task in plan(digits_training()).tasks)
        assert isinstance(dataset, PrepareDataset)
        assert isinstance(self.training, TrainGenerator)
        self._classes = classes = self.training.classes
        data = MemoryContext()
        DatasetPreparation(PinnedFolder(NOWHERE, DatasetUnavailable))(data, dataset)
        self.train = data.outputs[artifacts.TRAIN_IMAGES]
        test = data.outputs[artifacts.TEST_IMAGES]
        context = MemoryContext({"train": [self.train], "test": [test]})
        weights = PretrainedWeights(PinnedFolder(NOWHERE, WeightsUnavailable))
        params = TrainClassifier(
            classifier=STUDY.classifier, classes=classes, seed=STUDY.classifier_seeds[0]
        )
        ClassifierTraining(CPU, weights)(context, params)
        self._classifier = context.outputs[artifacts.CLASSIFIER_WEIGHTS]
        self._real, self._held_out = self._features(self.train), self._features(test)

    def distance(
        self,
        generator: Generator,
        *,
        t_re: int = STEPS,
        precision: Precision = "float32",
        noise_seed: int = STUDY.noise_seed,
    ) -> Measurement:
        """Of the whole training split, reconstructed, to itself; with its interval."""
        weights, description = generator
        context = MemoryContext(
            {"train": [self.train], "generator": [weights], "description": [description]}
        )
        params = Reconstruct(
            sampler=STUDY.sampler,
            t_re=t_re,
            start=STUDY.start,
            noise_seed=noise_seed,
            precision=precision,
            first=0,
            count=len(self._real),
        )
        Reconstruction(self._device)(context, params)
        made = self._features(context.outputs[artifacts.RECONSTRUCTED_IMAGES])
        sets = ComparedSets(fake=made, train=self._real, test=self._held_out)
        sigma = STUDY.sampler.start_sigma(t_re)
        to_train, _ = distances.measure(
            sets, Evaluate(measure=FrechetMeasure(), t_re=t_re, sigma=sigma)
        )
        return to_train

    def _features(self, images: bytes) -> FeatureSet:
        context = MemoryContext({"images": [images], "classifier": [self._classifier]})
        Embedding(CPU)(context, Embed(classifier=STUDY.classifier, classes=self._classes))
        return FeatureSet.from_bytes(context.outputs[artifacts.FEATURES])
