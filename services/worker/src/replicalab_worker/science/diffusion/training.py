"""Training a denoiser: Karras et al. (2022), arXiv:2206.00364, section 5 and appendix F.2.

The loop is a generator: it yields after every optimiser step, and whoever iterates it owns
progress, the loss curve, checkpoints, cancellation and what to do about a loss that is not finite.
Every draw is a function of (seed, step), so the state of a training is its weights, its averages,
its optimiser and the number of its step.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from replicalab_worker.science.diffusion.augmentation import Augmentation
from replicalab_worker.science.diffusion.averages import (
    exponent_of,
    half_life_decay,
    move_towards,
    power_decay,
)
from replicalab_worker.science.diffusion.draws import BatchOrder, Purpose, mixed
from replicalab_worker.science.diffusion.dropout import DropoutDraws, draw_dropout_from
from replicalab_worker.science.diffusion.optimisation import Optimiser
from replicalab_worker.science.diffusion.preconditioning import (
    EdmPreconditioning,
    class_vectors_of,
    log_normal_levels,
    loss_weight,
)
from replicalab_worker.science.diffusion.replicas import ONE_PROCESS, Replica

Images = Float[Tensor, "image channel height width"]
Labels = Int64[Tensor, " image"]


@dataclass(frozen=True, slots=True)
class EdmRecipe:
    """How to train; counts are in images seen, so that they do not depend on the batch size.

    Attributes:
        images: Images to see in all.
        batch_size: Images per optimiser step.
        learning_rate: Adam's rate after the warm-up.
        warmup_images: Linear ramp of the rate from 0.
        ema_half_life_images: Half-life of the averaged weights.
        ema_rampup_ratio: The half-life is at most this share of the images seen.
        log_sigma_mean: Mean of the logarithm of the training noise level.
        log_sigma_std: Its standard deviation.
        augment_probability: Of each non-leaking augmentation; 0 trains without.
        seed: Of order, noise, augmentation and dropout.
        compute_type: What the network's products run in; weights and sums stay float32.
        power_widths: Relative widths of the power-function averages to keep beside the other.
    """

    images: int
    batch_size: int
    learning_rate: float
    warmup_images: int
    ema_half_life_images: int
    ema_rampup_ratio: float
    log_sigma_mean: float
    log_sigma_std: float
    augment_probability: float
    seed: int
    compute_type: torch.dtype = torch.float32
    power_widths: tuple[float, ...] = ()

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return -(-self.images // self.batch_size)


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One optimiser step.

    Attributes:
        index: Number of the step, from 0.
        images_seen: Images seen so far, this step included.
        loss: Weighted squared error per pixel of the step's batch; left on the device.
    """

    index: int
    images_seen: int
    loss: Float[Tensor, ""]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one step of one process sees, drawn before it is split."""

    first: int
    clean: Images
    class_vectors: Float[Tensor, "image class"]
    augment_labels: Float[Tensor, "image label"] | None
    sigma: Float[Tensor, " image"]
    noise: Images

    def part(self, start: int, count: int) -> "_Batch":
        """Images ``start`` to ``start + count - 1`` of these."""
        cut = slice(start, start + count)
        labels = None if self.augment_labels is None else self.augment_labels[cut]
        tensors = self.clean[cut], self.class_vectors[cut], labels, self.sigma[cut], self.noise[cut]
        return _Batch(self.first + start, *tensors)


class EdmTrainer:
    """A network in training and the running averages of its weights.

    Attributes:
        network: The network the optimiser changes.
        average: The half-life average of its weights: the one to sample with.
        power_averages: One power-function average per ``recipe.power_widths``.
        optimiser: Adam with its rate and, in float16, its loss scale.
        steps_done: Optimiser steps taken; set it with everything above to go on from there.
        part_images: Most images to pass through the network at once; changes rounding only.
    """

    def __init__(
        self, network: EdmPreconditioning, recipe: EdmRecipe, replica: Replica = ONE_PROCESS
    ) -> None:
        self.network = network
        self.average = _frozen_copy(network)
        self.power_averages = tuple(_frozen_copy(network) for _ in recipe.power_widths)
        self.optimiser = Optimiser(network, recipe.learning_rate, recipe.compute_type)
        self.steps_done = 0
        self.part_images = recipe.batch_size
        self._recipe = recipe
        self._replica = replica
        self._device = next(network.parameters()).device
        self._generator = torch.Generator(self._device)
        self._augment = Augmentation(recipe.augment_probability, self._generator)
        self._dropout = DropoutDraws(recipe.seed, self._device)
        self._exponents = [exponent_of(width) for width in recipe.power_widths]

    def train(self, images: Images, labels: Labels, *, classes: int) -> Iterator[TrainingStep]:
        """Optimise from ``steps_done`` to ``recipe.images`` images.

        Args:
            images: The training set in [-1, 1], on the network's device.
            labels: Their classes, 0 to ``classes`` - 1; not looked at when there are none.
            classes: Length of the one-hot class vectors; 0 trains without classes.
        """
        recipe = self._recipe
        class_vectors = class_vectors_of(labels, classes)
        order = BatchOrder(len(images), recipe.batch_size, recipe.seed)
        draw_dropout_from(self.network, self._dropout)
        self.network.train()
        replicated = self._replica.wrap(self.network)
        for index in range(self.steps_done, recipe.steps):
            batch = order.batch(index).to(self._device)
            drawn = self._draw(index, images[batch], class_vectors[batch])
            loss = self._gradients(replicated, index, drawn)
            self.optimiser.step()
            self.steps_done = index + 1
            self._update_averages()
            yield TrainingStep(index, self.steps_done * recipe.batch_size, loss)

    def _draw(self, index: int, clean: Images, class_vectors: Float[Tensor, "n class"]) -> _Batch:
        """Draw for the whole batch; keep what is this process's part."""
        self._generator.manual_seed(mixed(self._recipe.seed, Purpose.STEP, index))
        augment_labels = None
        if self._recipe.augment_probability > 0:
            clean, augment_labels = self._augment(clean)
        sigma = log_normal_levels(
            len(clean),
            mean=self._recipe.log_sigma_mean,
            std=self._recipe.log_sigma_std,
            generator=self._generator,
        )
        noise = torch.randn(clean.shape, generator=self._generator, device=clean.device)
        whole = _Batch(0, clean, class_vectors, augment_labels, sigma, noise)
        first, count = self._replica.share(len(clean))
        return whole.part(first, count)

    def _gradients(self, replicated: nn.Module, index: int, batch: _Batch) -> Float[Tensor, ""]:
        """Gradients of a step; parts that do not fit into memory are halved from then on."""
        while True:
            self.optimiser.begin(learning_rate(self._recipe, index * self._recipe.batch_size))
            try:
                return self._accumulate(replicated, index, batch)
            except torch.OutOfMemoryError:
                if self.part_images == 1 or self._replica.processes > 1:  # the others would wait
                    raise
                self.part_images = -(-min(self.part_images, len(batch.clean)) // 2)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()  # what is kept for sizes that do not come again

    def _accumulate(self, replicated: nn.Module, index: int, batch: _Batch) -> Float[Tensor, ""]:
        """Gradients of the mean loss over the whole batch, part by part; returns that loss."""
        total = torch.zeros((), device=self._device)
        count = len(batch.clean)
        for start in range(0, count, self.part_images):
            part = batch.part(start, min(self.part_images, count - start))
            self._dropout.aim(index, part.first)
            is_last = start + self.part_images >= count
            with self._replica.gradients(replicated, is_last=is_last):
                loss = self._loss(replicated, part)
                self.optimiser.backward(loss * self._replica.processes)
            total += loss.detach()
        return self._replica.total(total)

    def _loss(self, replicated: nn.Module, part: _Batch) -> Float[Tensor, ""]:
        """Weighted denoising error, eq. 8, per pixel; the batch's parts sum to its mean."""
        noisy = part.clean + part.noise * part.sigma[:, None, None, None]
        type_, is_mixed = self._recipe.compute_type, self._recipe.compute_type != torch.float32
        with torch.autocast(self._device.type, type_, enabled=is_mixed):
            denoised = replicated(noisy, part.sigma, part.class_vectors, part.augment_labels)
        weight = loss_weight(part.sigma, self.network.sigma_data)[:, None, None, None]
        pixels = self._recipe.batch_size * math.prod(part.clean.shape[1:])
        loss: Tensor = (weight * (denoised.float() - part.clean) ** 2).sum() / pixels
        return loss

    def _update_averages(self) -> None:
        recipe = self._recipe
        decay = half_life_decay(
            self.steps_done * recipe.batch_size,
            recipe.batch_size,
            half_life_images=recipe.ema_half_life_images,
            rampup_ratio=recipe.ema_rampup_ratio,
        )
        move_towards(self.average, self.network, decay)
        for average, exponent in zip(self.power_averages, self._exponents, strict=True):
            move_towards(average, self.network, power_decay(exponent, self.steps_done))


def learning_rate(recipe: EdmRecipe, images_seen: int) -> float:
    """Adam's rate for the batch that follows ``images_seen`` images: a linear ramp from 0."""
    return recipe.learning_rate * min(images_seen / max(recipe.warmup_images, 1), 1.0)


def _frozen_copy(network: EdmPreconditioning) -> EdmPreconditioning:
    return copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
