"""Training a classifier as a task."""

import numpy as np
import numpy.typing as npt
import torch

from replicalab.domain import artifacts
from replicalab.domain.classifiers import ClassifierSpec, PaperResNet18
from replicalab.domain.tasks import TrainClassifier
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidImageSet
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.features import TestLogits
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.checkpoints import save_weights
from replicalab_worker.pipelines.classifiers import build_classifier, recipe_of, working_bytes
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.pipelines.losses import LossRecord
from replicalab_worker.pipelines.pace import Pace
from replicalab_worker.pipelines.pretrained import PretrainedWeights
from replicalab_worker.runtime.device import batch_images
from replicalab_worker.science.classifier.inference import classify
from replicalab_worker.science.classifier.networks import (
    Classifier,
    LargeImageResNet18,
    initialise,
)
from replicalab_worker.science.classifier.training import train
from replicalab_worker.science.pixels import to_levels

FEWEST_IMAGES = 2


class ClassifierTraining:
    """Handler of ``train-classifier``."""

    def __init__(self, device: torch.device, pretrained: PretrainedWeights) -> None:
        self._device = device
        self._pretrained = pretrained

    def __call__(self, context: TaskContext, params: TrainClassifier) -> None:
        """Train on the set, then write the weights and the answers on the real test set."""
        images = read_images(context, "train", classes=params.classes)
        test = read_images(context, "test", classes=params.classes)
        if len(images) < FEWEST_IMAGES or images.images.shape[1:] != test.images.shape[1:]:
            raise InvalidImageSet(
                f"Training needs at least {FEWEST_IMAGES} images of the test set's shape; there "
                f"are {len(images)} of {images.images.shape[1:]} against {test.images.shape[1:]}."
            )
        network = self._train(context, params, images)
        logits = self._answers(network, params, test)
        weights = save_weights(network, self._origin(params.classifier))
        context.write(artifacts.CLASSIFIER_WEIGHTS, weights, artifacts.SAFETENSORS)
        answers = TestLogits(logits, test.labels, params.seed)
        context.write(artifacts.TEST_LOGITS, answers.to_bytes(), artifacts.NPZ)

    def _train(self, context: TaskContext, params: TrainClassifier, images: ImageSet) -> Classifier:
        network = self._untrained(context, params, channels=images.images.shape[-1])
        losses, pace = LossRecord(params.seed), Pace()
        for step in train(
            network,
            to_levels(images.images).to(self._device),
            torch.from_numpy(images.labels).to(self._device),
            recipe_of(params.classifier, self._device),
            torch.Generator(self._device).manual_seed(params.seed + 1),
        ):
            losses.add(step.loss)
            if pace.is_due():
                losses.read()
                context.progress(step.index + 1, step.steps, "training classifier")
        losses.read()
        return network

    def _untrained(
        self, context: TaskContext, params: TrainClassifier, *, channels: int
    ) -> Classifier:
        """Weights drawn by the seed; all but the head's are ImageNet's where asked for."""
        network = build_classifier(params.classifier, channels=channels, classes=params.classes)
        initialise(network, torch.Generator().manual_seed(params.seed))
        if isinstance(network, LargeImageResNet18) and network.is_normalised:
            try:
                network.load_body(self._pretrained.read(context.progress))
            except RuntimeError as error:
                raise WeightsUnavailable(
                    f"{self._pretrained.file.name} does not hold a ResNet-18: {error}"
                ) from error
        network.to(self._device).to(memory_format=torch.channels_last)
        return network

    def _origin(self, classifier: ClassifierSpec) -> dict[str, str]:
        """What the file of weights says about its beginning."""
        if isinstance(classifier, PaperResNet18) and classifier.pretrained:
            return {"initialised_from_sha256": self._pretrained.file.sha256}
        return {}

    def _answers(
        self, network: Classifier, params: TrainClassifier, test: ImageSet
    ) -> npt.NDArray[np.float32]:
        size = batch_images(working_bytes(params.classifier, test), self._device)
        outputs = classify(network, to_levels(test.images), size)
        return np.concatenate([output.logits.cpu().numpy() for output in outputs])
