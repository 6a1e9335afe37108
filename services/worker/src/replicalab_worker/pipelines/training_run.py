"""One process's run of a generator training: steps, progress, snapshots, checkpoints."""

import logging
import time

import torch

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.tasks import TrainGenerator
from replicalab.engine.handlers import TaskContext, TaskStopped
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.checkpoints import save_named_weights, save_weights
from replicalab_worker.pipelines.generators import build_unet, working_bytes
from replicalab_worker.pipelines.losses import LossRecord
from replicalab_worker.pipelines.pace import CheckpointPace, Pace
from replicalab_worker.pipelines.training_state import BrokenState, restore, state_of
from replicalab_worker.runtime.device import batch_images, dtype_of
from replicalab_worker.science.diffusion.initialisation import initialise
from replicalab_worker.science.diffusion.preconditioning import EdmPreconditioning
from replicalab_worker.science.diffusion.replicas import ONE_PROCESS, Replica
from replicalab_worker.science.diffusion.training import EdmRecipe, EdmTrainer, TrainingStep
from replicalab_worker.science.pixels import from_pixels

CHECKPOINT_SECONDS = 120.0
TRAINING_FACTOR = 4
"""Training keeps what inference forgets: maps of every layer, and their gradients."""

RECENT_STEPS = 50
_log = logging.getLogger(__name__)


class TrainingRun:
    """A training from its beginning, or from where an earlier attempt saved it.

    Attributes:
        trainer: The networks and the optimiser.
        losses: One per step taken, earlier attempts' included.
    """

    def __init__(
        self,
        context: TaskContext,
        params: TrainGenerator,
        form: GeneratorForm,
        device: torch.device,
        *,
        replica: Replica = ONE_PROCESS,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._context = context
        self._training = params.training
        self._form = form
        self._device = device
        self._replica = replica
        self._checkpoint_pace = CheckpointPace(checkpoint_seconds)
        self.losses = LossRecord(params.training.seed)
        self.trainer = self._trainer()

    def finish(self, images: ImageSet) -> None:
        """Take every step that is left.

        Raises:
            TaskStopped: It was asked to stop; where it stands is saved.
            FloatingPointError: A loss or a weight is not finite.
        """
        pace, speed = Pace(), _Speed(self.trainer.steps_done * self._training.batch_size)
        for step in self.trainer.train(
            from_pixels(images.images).to(self._device),
            torch.from_numpy(images.labels).to(self._device),
            classes=self._form.classes,
        ):
            self.losses.add(step.loss)
            self._write_snapshots(step)
            if pace.is_due():
                self._report(step, speed)
            if self._checkpoint_pace.is_due():
                self._save()
        self.losses.read()
        if not all(torch.isfinite(weight).all() for weight in self.trainer.average.parameters()):
            raise FloatingPointError(
                f"A weight is not finite after the last step (seed {self._training.seed}); lower "
                "the learning rate or use another seed."
            )

    @property
    def skipped_steps(self) -> int:
        """Steps left out, as their gradients overflowed in float16."""
        scale = self.trainer.optimiser.loss_scale
        return 0 if scale is None else scale.skipped_steps

    def _trainer(self) -> EdmTrainer:
        saved = self._context.load_checkpoint()
        trainer = self._new_trainer()
        if saved is None:
            return trainer
        try:
            standing = restore(trainer, saved)
        except BrokenState as error:
            _log.warning("the checkpoint cannot be used, training starts over: %s", error)
            return self._new_trainer()
        _log.info("training goes on from step %d", trainer.steps_done)
        self.losses.values.extend(standing.losses)
        trainer.part_images = standing.part_images
        return trainer

    def _new_trainer(self) -> EdmTrainer:
        training = self._training
        network = EdmPreconditioning(build_unet(self._form), sigma_data=training.sigma_data)
        initialise(network, torch.Generator().manual_seed(training.seed))
        trainer = EdmTrainer(
            network.to(self._device), recipe_of(training, self._device), self._replica
        )
        bytes_per_image = TRAINING_FACTOR * working_bytes(self._form)
        trainer.part_images = batch_images(bytes_per_image, self._device)
        return trainer

    def _report(self, step: TrainingStep, speed: "_Speed") -> None:
        self.losses.read()
        total = self._training.images
        try:
            self._context.progress(step.images_seen, total, self._stage(step, speed))
        except TaskStopped:
            self._save()
            raise

    def _stage(self, step: TrainingStep, speed: "_Speed") -> str:
        recent = self.losses.values[-RECENT_STEPS:]
        total = self._training.images
        parts = [
            f"loss {sum(recent) / len(recent):.4f}",
            f"{min(step.images_seen, total):,} of {total:,} images",
            *speed.words(step.images_seen, total),
        ]
        if self.skipped_steps:
            parts.append(f"{self.skipped_steps} steps skipped")
        return ", ".join(parts)

    def _save(self) -> None:
        began = time.monotonic()
        self.losses.read()
        if self._replica.rank == 0:
            self._context.save_checkpoint(state_of(self.trainer, self.losses.values))
        self._checkpoint_pace.took(time.monotonic() - began)

    def _write_snapshots(self, step: TrainingStep) -> None:
        """Store what the specification asks for at this step."""
        if self._replica.rank > 0:
            return
        for images in self._reached(step, self._training.snapshots):
            weights = save_weights(self.trainer.average)
            self._context.write(artifacts.snapshot_weights(images), weights, artifacts.SAFETENSORS)
        for images in self._reached(step, self._training.power_snapshots):
            averages = {str(i): a.state_dict() for i, a in enumerate(self.trainer.power_averages)}
            weights = save_named_weights(averages)
            self._context.write(artifacts.power_averages(images), weights, artifacts.SAFETENSORS)

    def _reached(self, step: TrainingStep, moments: tuple[int, ...]) -> list[int]:
        before = step.images_seen - self._training.batch_size
        return [images for images in moments if before < images <= step.images_seen]


class _Speed:
    """Images a second since this attempt began, and what that means for the rest."""

    def __init__(self, images_seen: int) -> None:
        self._began, self._first = time.monotonic(), images_seen

    def words(self, images_seen: int, total: int) -> list[str]:
        speed = (images_seen - self._first) / max(time.monotonic() - self._began, 1e-6)
        left = max(total - images_seen, 0) / max(speed, 1e-6)
        return [f"{speed:,.0f} images/s", f"{_duration(left)} left"]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def recipe_of(training: EdmTraining, device: torch.device) -> EdmRecipe:
    """The part of a training specification that the training loop needs."""
    powers = training.power_averages
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
        seed=training.seed,
        compute_type=dtype_of(training.precision, device),
        power_widths=powers.sigma_rel if powers else (),
    )
