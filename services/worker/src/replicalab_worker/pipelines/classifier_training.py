"""Training a classifier as a task."""

import torch

from replicalab.domain import artifacts
from replicalab.domain.tasks import TrainClassifier
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidImageSet
from replicalab.storage.features import TestLogits
from replicalab_worker.pipelines.checkpoints import save_weights
from replicalab_worker.pipelines.classifier_trainer import ClassifierTrainer
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.pipelines.pretrained import PretrainedWeights

FEWEST_IMAGES = 2


class ClassifierTraining:
    """Handler of ``train-classifier``."""

    def __init__(self, device: torch.device, pretrained: PretrainedWeights) -> None:
        self._trainer = ClassifierTrainer(device, pretrained)

    def __call__(self, context: TaskContext, params: TrainClassifier) -> None:
        """Train on the set, then write the weights and the answers on the real test set."""
        images = read_images(context, "train", classes=params.classes)
        test = read_images(context, "test", classes=params.classes)
        if len(images) < FEWEST_IMAGES or images.images.shape[1:] != test.images.shape[1:]:
            raise InvalidImageSet(
                f"Training needs at least {FEWEST_IMAGES} images of the test set's shape; there "
                f"are {len(images)} of {images.images.shape[1:]} against {test.images.shape[1:]}."
            )
        trainer, classifier = self._trainer, params.classifier
        network = trainer.untrained(
            context,
            classifier,
            channels=images.images.shape[-1],
            classes=params.classes,
            seed=params.seed,
        )
        trainer.train(
            context, network, images, classifier, seed=params.seed, stage="training classifier"
        )
        logits = trainer.answers(network, test, classifier)
        weights = save_weights(network, trainer.origin(classifier))
        context.write(artifacts.CLASSIFIER_WEIGHTS, weights, artifacts.SAFETENSORS)
        answers = TestLogits(logits, test.labels, params.seed)
        context.write(artifacts.TEST_LOGITS, answers.to_bytes(), artifacts.NPZ)
