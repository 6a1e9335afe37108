"""Training a generator as a task."""

import hashlib
import json
from collections.abc import Sequence

import torch

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining
from replicalab.domain.networks import EdmPreconditioningSpec, GeneratorForm
from replicalab.domain.tasks import TrainGenerator
from replicalab.engine.handlers import TaskContext
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.checkpoints import save_weights
from replicalab_worker.pipelines.generators import build_unet
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.pipelines.losses import LossRecord
from replicalab_worker.pipelines.pace import Pace
from replicalab_worker.science.diffusion.augmentation import AUGMENT_LABELS
from replicalab_worker.science.diffusion.initialisation import initialise
from replicalab_worker.science.diffusion.preconditioning import EdmPreconditioning
from replicalab_worker.science.diffusion.training import EdmRecipe, EdmTrainer
from replicalab_worker.science.pixels import from_pixels
from replicalab_worker.weights.description import GeneratorDescription, TrainedHere

CURVE_POINTS = 200
FINAL_SHARE = 0.05


class GeneratorTraining:
    """Handler of ``train-generator``."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, context: TaskContext, params: TrainGenerator) -> None:
        """Train, then write the averaged weights, their description and the loss curve."""
        training = params.training
        images = read_images(context, "train", classes=params.classes)
        form = form_of(training, images, classes=params.classes)
        trainer = self._new_trainer(form, training)
        losses = self._train(context, trainer, images, params)
        weights = save_weights(trainer.average)
        images_seen = len(losses.values) * training.batch_size
        description = GeneratorDescription(
            **dict(form),
            origin=TrainedHere(
                training=training,
                images_seen=images_seen,
                final_loss=losses.mean_of_last(FINAL_SHARE),
            ),
            weights_sha256=hashlib.sha256(weights).hexdigest(),
        )
        context.write(artifacts.GENERATOR_WEIGHTS, weights, artifacts.SAFETENSORS)
        context.write(artifacts.GENERATOR_DESCRIPTION, description.to_bytes(), artifacts.JSON)
        curve = loss_curve(losses.values, training.batch_size)
        context.write(artifacts.TRAINING_CURVE, curve, artifacts.JSON)

    def _new_trainer(self, form: GeneratorForm, training: EdmTraining) -> EdmTrainer:
        network = EdmPreconditioning(build_unet(form), sigma_data=training.sigma_data)
        initialise(network, torch.Generator().manual_seed(training.seed))
        return EdmTrainer(network.to(self._device), recipe_of(training))

    def _train(
        self,
        context: TaskContext,
        trainer: EdmTrainer,
        images: ImageSet,
        params: TrainGenerator,
    ) -> LossRecord:
        generator = torch.Generator(self._device).manual_seed(params.training.seed + 1)
        losses, pace = LossRecord(params.training.seed), Pace()
        for step in trainer.train(
            from_pixels(images.images).to(self._device),
            torch.from_numpy(images.labels).to(self._device),
            classes=params.classes,
            generator=generator,
        ):
            losses.add(step.loss)
            if pace.is_due():
                losses.read()
                context.progress(step.images_seen, params.training.images, "training generator")
        losses.read()
        return losses


def form_of(training: EdmTraining, images: ImageSet, *, classes: int) -> GeneratorForm:
    """The form of a network trained on ``images`` as ``training`` says."""
    _, height, _, channels = images.images.shape
    return GeneratorForm(
        network=training.network,
        preconditioning=EdmPreconditioningSpec(sigma_data=training.sigma_data),
        resolution=height,
        channels=channels,
        classes=classes,
        augment_labels=AUGMENT_LABELS if training.augment_probability > 0 else 0,
    )


def recipe_of(training: EdmTraining) -> EdmRecipe:
    """The part of a training specification that the training loop needs."""
    return EdmRecipe(
        images=training.images,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        warmup_images=training.warmup_images,
        ema_half_life_images=training.ema_half_life_images,
        ema_rampup_ratio=training.ema_rampup_ratio,
        log_sigma_mean=training.log_sigma_mean,
        log_sigma_std=training.log_sigma_std,
        augment_probability=training.augment_probability,
    )


def loss_curve(losses: Sequence[float], batch_size: int) -> bytes:
    """The curve as JSON: mean loss over each of at most 200 equal spans against images seen."""
    span = -(-len(losses) // CURVE_POINTS)
    spans = [losses[first : first + span] for first in range(0, len(losses), span)]
    ends = [min((index + 1) * span, len(losses)) for index in range(len(spans))]
    curve = {
        "images_seen": [end * batch_size for end in ends],
        "loss": [sum(values) / len(values) for values in spans],
    }
    return json.dumps(curve, allow_nan=False).encode()
