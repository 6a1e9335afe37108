"""Training a classifier as a task."""

import numpy as np
import numpy.typing as npt
import torch

from replicalab.domain import artifacts
from replicalab.domain.tasks import TrainClassifier
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidImageSet
from replicalab.storage.features import TestLogits
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.checkpoints import save_weights
from replicalab_worker.pipelines.classifiers import build_classifier, recipe_of, working_bytes
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.pipelines.losses import LossRecord
from replicalab_worker.pipelines.pace import Pace
from replicalab_worker.runtime.device import batch_images
from replicalab_worker.science.classifier.inference import classify
from replicalab_worker.science.classifier.networks import Classifier, initialise
from replicalab_worker.science.classifier.training import train
from replicalab_worker.science.pixels import from_pixels

FEWEST_IMAGES = 2


class ClassifierTraining:
    """Handler of ``train-classifier``."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

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
        context.write(artifacts.CLASSIFIER_WEIGHTS, save_weights(network), artifacts.SAFETENSORS)
        answers = TestLogits(logits, test.labels, params.seed)
        context.write(artifacts.TEST_LOGITS, answers.to_bytes(), artifacts.NPZ)

    def _train(self, context: TaskContext, params: TrainClassifier, images: ImageSet) -> Classifier:
        network = build_classifier(
            params.classifier, channels=images.images.shape[-1], classes=params.classes
        )
        initialise(network, torch.Generator().manual_seed(params.seed))
        network.to(self._device).to(memory_format=torch.channels_last)
        losses, pace = LossRecord(params.seed), Pace()
        for step in train(
            network,
            from_pixels(images.images).to(self._device),
            torch.from_numpy(images.labels).to(self._device),
            recipe_of(params.classifier),
            torch.Generator(self._device).manual_seed(params.seed + 1),
        ):
            losses.add(step.loss)
            if pace.is_due():
                losses.read()
                context.progress(step.index + 1, step.steps, "training classifier")
        losses.read()
        return network

    def _answers(
        self, network: Classifier, params: TrainClassifier, test: ImageSet
    ) -> npt.NDArray[np.float32]:
        size = batch_images(working_bytes(params.classifier, test), self._device)
        outputs = classify(network, from_pixels(test.images), size)
        return np.concatenate([output.logits.cpu().numpy() for output in outputs])
