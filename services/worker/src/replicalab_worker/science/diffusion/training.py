"""Training a denoiser: Karras et al. (2022), arXiv:2206.00364, section 5 and appendix F.2.

The loop is a generator: it yields after every optimiser step, and whoever iterates it owns
progress, the loss curve, cancellation and what to do about a loss that is not finite.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from replicalab_worker.science.diffusion.augmentation import Augmentation
from replicalab_worker.science.diffusion.dropout import draw_dropout_from
from replicalab_worker.science.diffusion.preconditioning import (
    EdmPreconditioning,
    log_normal_levels,
    loss_weight,
)

ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8

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


class EdmTrainer:
    """A network in training and the running average of its weights.

    Attributes:
        network: The network the optimiser changes.
        average: Its exponential moving average: the one to sample with.
    """

    def __init__(self, network: EdmPreconditioning, recipe: EdmRecipe) -> None:
        self.network = network
        self.average = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._recipe = recipe

    def train(
        self, images: Images, labels: Labels, *, classes: int, generator: torch.Generator
    ) -> Iterator[TrainingStep]:
        """Optimise for ``recipe.images`` images, in as many steps as that takes.

        Args:
            images: The training set in [-1, 1], on the network's device.
            labels: Their classes, 0 to ``classes`` - 1.
            classes: Length of the one-hot class vectors.
            generator: Source of order, noise, augmentation and dropout, on the same device.
        """
        recipe = self._recipe
        optimiser = torch.optim.Adam(
            self.network.parameters(), recipe.learning_rate, ADAM_BETAS, ADAM_EPSILON
        )
        augment = Augmentation(recipe.augment_probability, generator)
        class_vectors = nn.functional.one_hot(labels, classes).to(torch.float32)
        batches = shuffled_batches(len(images), recipe.batch_size, generator)
        draw_dropout_from(self.network, generator)
        self.network.train()
        for index in range(-(-recipe.images // recipe.batch_size)):
            seen = index * recipe.batch_size
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, seen)
            batch = next(batches)
            loss = self._loss(images[batch], class_vectors[batch], augment, generator)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            self._update_average(seen + recipe.batch_size)
            yield TrainingStep(index, seen + recipe.batch_size, loss.detach())

    def _loss(
        self,
        clean: Images,
        class_vectors: Float[Tensor, "image class"],
        augment: Augmentation,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Weighted denoising error, eq. 8, per pixel."""
        augment_labels = None
        if self._recipe.augment_probability > 0:
            clean, augment_labels = augment(clean)
        sigma = log_normal_levels(
            len(clean),
            mean=self._recipe.log_sigma_mean,
            std=self._recipe.log_sigma_std,
            generator=generator,
        )
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        noisy = clean + noise * sigma[:, None, None, None]
        denoised = self.network(noisy, sigma, class_vectors, augment_labels)
        weight = loss_weight(sigma, self.network.sigma_data)[:, None, None, None]
        loss: Tensor = (weight * (denoised - clean) ** 2).mean()
        return loss

    @torch.no_grad()
    def _update_average(self, images_seen: int) -> None:
        decay = ema_decay(self._recipe, images_seen)
        for averaged, current in zip(
            self.average.parameters(), self.network.parameters(), strict=True
        ):
            averaged.lerp_(current, 1 - decay)


def learning_rate(recipe: EdmRecipe, images_seen: int) -> float:
    """Adam's rate for the batch that follows ``images_seen`` images: a linear ramp from 0."""
    return recipe.learning_rate * min(images_seen / max(recipe.warmup_images, 1), 1.0)


def ema_decay(recipe: EdmRecipe, images_seen: int) -> float:
    """Share of the average that survives one step: half of it after every half-life."""
    half_life = min(recipe.ema_half_life_images, images_seen * recipe.ema_rampup_ratio)
    decay: float = 0.5 ** (recipe.batch_size / half_life)
    return decay


def shuffled_batches(
    count: int, batch_size: int, generator: torch.Generator
) -> Iterator[Int64[Tensor, " batch"]]:
    """Endless batches of indices; every index once before any comes again."""
    waiting = torch.empty(0, dtype=torch.int64, device=generator.device)
    while True:
        while len(waiting) < batch_size:
            order = torch.randperm(count, generator=generator, device=generator.device)
            waiting = torch.cat([waiting, order])
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]
