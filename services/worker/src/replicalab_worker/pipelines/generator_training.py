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
from replicalab.errors import IncompatibleParts
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.checkpoints import save_weights
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.pipelines.training_run import CHECKPOINT_SECONDS, TrainingRun
from replicalab_worker.runtime.device import dtype_of
from replicalab_worker.science.diffusion.augmentation import AUGMENT_LABELS
from replicalab_worker.science.diffusion.replicas import ONE_PROCESS, Replica
from replicalab_worker.weights.description import GeneratorDescription, TrainedHere

CURVE_POINTS = 200
FINAL_SHARE = 0.05


class GeneratorTraining:
    """Handler of ``train-generator``, in one process.

    Args:
        device: Where to train.
        replica: Which of several processes this is; rank 0 alone writes.
        checkpoint_seconds: Least time between two checkpoints.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        replica: Replica = ONE_PROCESS,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._device = device
        self._replica = replica
        self._checkpoint_seconds = checkpoint_seconds

    def __call__(self, context: TaskContext, params: TrainGenerator) -> None:
        """Train, then write the averaged weights, their description and the loss curve."""
        training = params.training
        check_device(training, self._device, processes=self._replica.processes)
        images = read_images(context, "train", classes=params.classes)
        form = form_of(training, images, classes=params.classes)
        run = TrainingRun(
            context,
            params,
            form,
            self._device,
            replica=self._replica,
            checkpoint_seconds=self._checkpoint_seconds,
        )
        run.finish(images)
        if self._replica.rank == 0:
            _write(context, run, form, training)


def check_device(training: EdmTraining, device: torch.device, *, processes: int) -> None:
    """Refuse with ``IncompatibleParts`` what this worker cannot train."""
    dtype_of(training.precision, device)
    if training.batch_size < processes:
        raise IncompatibleParts(
            f"A batch of {training.batch_size} cannot be shared by the {processes} processes of "
            "this worker; raise batch_size."
        )


def _write(
    context: TaskContext, run: TrainingRun, form: GeneratorForm, training: EdmTraining
) -> None:
    weights, losses = save_weights(run.trainer.average), run.losses
    description = GeneratorDescription(
        **dict(form),
        origin=TrainedHere(
            training=training,
            images_seen=len(losses.values) * training.batch_size,
            final_loss=losses.mean_of_last(FINAL_SHARE),
            skipped_steps=run.skipped_steps,
        ),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    context.write(artifacts.GENERATOR_WEIGHTS, weights, artifacts.SAFETENSORS)
    context.write(artifacts.GENERATOR_DESCRIPTION, description.to_bytes(), artifacts.JSON)
    curve = loss_curve(losses.values, training.batch_size)
    context.write(artifacts.TRAINING_CURVE, curve, artifacts.JSON)


def form_of(training: EdmTraining, images: ImageSet, *, classes: int) -> GeneratorForm:
    """The form of a network trained on ``images`` as ``training`` says."""
    _, height, _, channels = images.images.shape
    return GeneratorForm(
        network=training.network,
        preconditioning=EdmPreconditioningSpec(sigma_data=training.sigma_data),
        resolution=height,
        channels=channels,
        classes=classes if training.is_conditional else 0,
        augment_labels=AUGMENT_LABELS if training.augment_probability > 0 else 0,
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
