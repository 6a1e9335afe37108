"""Training classifiers of a specification, whatever they are to tell apart."""

import numpy as np
import numpy.typing as npt
import torch

from replicalab.domain.classifiers import ClassifierSpec, PaperResNet18
from replicalab.domain.models import Seed
from replicalab.engine.handlers import TaskContext
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.classifiers import build_classifier, recipe_of, working_bytes
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
from replicalab_worker.science.classifier.spectra import SpectralClassifier
from replicalab_worker.science.classifier.training import train
from replicalab_worker.science.pixels import to_levels


class ClassifierTrainer:
    """Makes, trains and asks classifiers on one device."""

    def __init__(self, device: torch.device, pretrained: PretrainedWeights) -> None:
        self.device = device
        self._pretrained = pretrained

    def untrained(
        self,
        context: TaskContext,
        classifier: ClassifierSpec,
        *,
        channels: int,
        classes: int,
        seed: Seed,
    ) -> Classifier:
        """Weights drawn by the seed; all but the head's are ImageNet's where asked for."""
        network = build_classifier(classifier, channels=channels, classes=classes)
        initialise(network, torch.Generator().manual_seed(seed))
        if isinstance(network, LargeImageResNet18) and network.is_normalised:
            try:
                network.load_body(self._pretrained.read(context.progress))
            except RuntimeError as error:
                raise WeightsUnavailable(
                    f"{self._pretrained.file.name} does not hold a ResNet-18: {error}"
                ) from error
        network.to(self.device).to(memory_format=torch.channels_last)
        return network

    def train(
        self,
        context: TaskContext,
        network: Classifier | SpectralClassifier,
        images: ImageSet,
        classifier: ClassifierSpec,
        *,
        seed: Seed,
        stage: str,
    ) -> None:
        """Train ``network`` in place, as ``classifier`` says, to name the labels of ``images``."""
        losses, pace = LossRecord(seed), Pace()
        for step in train(
            network,
            to_levels(images.images).to(self.device),
            torch.from_numpy(images.labels).to(self.device),
            recipe_of(classifier, self.device),
            torch.Generator(self.device).manual_seed(seed + 1),
        ):
            losses.add(step.loss)
            if pace.is_due():
                losses.read()
                context.progress(step.index + 1, step.steps, stage)
        losses.read()

    def answers(
        self,
        network: Classifier | SpectralClassifier,
        images: ImageSet,
        classifier: ClassifierSpec,
    ) -> npt.NDArray[np.float32]:
        """Logits of ``images``, (image, class), in order."""
        size = batch_images(working_bytes(classifier, images), self.device)
        outputs = classify(network, to_levels(images.images), size)
        return np.concatenate([output.logits.cpu().numpy() for output in outputs])

    def origin(self, classifier: ClassifierSpec) -> dict[str, str]:
        """What a file of weights says about their beginning."""
        if isinstance(classifier, PaperResNet18) and classifier.pretrained:
            return {"initialised_from_sha256": self._pretrained.file.sha256}
        return {}
