"""Training a classifier from tensors in memory, batch by batch.

The loop is a generator: it yields after every optimiser step, and whoever iterates it owns
progress, cancellation and what to do about a loss that is not finite.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from replicalab_worker.science.classifier.augmentation import flip, shift
from replicalab_worker.science.classifier.networks import Classifier
from replicalab_worker.science.classifier.spectra import SpectralClassifier
from replicalab_worker.science.pixels import Levels, from_levels

ONE_CYCLE_RISE = 0.3
STEP_EPOCHS = 30
STEP_FACTOR = 0.1

Images = Float[Tensor, "batch channel height width"]
Labels = Int64[Tensor, " image"]


@dataclass(frozen=True, slots=True)
class SgdRecipe:
    """Stochastic gradient descent with Nesterov momentum.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Fewest images per step; batches of an epoch are of near-equal size.
        learning_rate: Highest rate.
        momentum: Momentum, 0 for none.
        weight_decay: L2 penalty, on every parameter.
        schedule: ``one-cycle`` rises to the rate and falls to 0; ``steps`` divides by 10 every
            30 epochs.
        shift_pixels: Augmentation: largest random shift.
        is_flipped: Augmentation: random horizontal flips.
        compute_type: What matrix products and convolutions run in; float16 scales its losses.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: Literal["one-cycle", "steps"]
    shift_pixels: int = 0
    is_flipped: bool = False
    compute_type: torch.dtype = torch.float32


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One optimiser step.

    Attributes:
        index: Number of the step, from 0.
        steps: Steps in all.
        loss: Mean cross-entropy of the step's batch, nats; left on the device.
    """

    index: int
    steps: int
    loss: Float[Tensor, ""]


def train(
    network: Classifier | SpectralClassifier,
    images: Levels,
    labels: Labels,
    recipe: SgdRecipe,
    generator: torch.Generator,
) -> Iterator[TrainingStep]:
    """Optimise ``network`` in place for ``recipe.epochs`` epochs.

    Args:
        network: The classifier; ends in training mode.
        images: The training set as stored pixels, on the network's device.
        labels: Its classes.
        recipe: How to train.
        generator: Source of order and augmentation, on the same device.
    """
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
        fused=True,
    )
    device, mixed = generator.device.type, recipe.compute_type != torch.float32
    scaler = torch.amp.GradScaler(device, enabled=recipe.compute_type == torch.float16)
    batches = max(1, len(images) // recipe.batch_size)
    steps = recipe.epochs * batches
    network.train()
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=generator, device=generator.device)
        for number, batch in enumerate(order.tensor_split(batches)):
            index = epoch * batches + number
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, (index + 0.5) / batches)
            views = _augment(from_levels(images[batch]), recipe, generator)
            views = views.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device, recipe.compute_type, enabled=mixed):
                logits = network(views).logits
            loss = functional.cross_entropy(logits.to(torch.float32), labels[batch])
            optimiser.zero_grad()
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimiser)
            scaler.update()
            yield TrainingStep(index, steps, loss.detach())


def learning_rate(recipe: SgdRecipe, epoch: float) -> float:
    """The rate after ``epoch`` epochs, a fraction within them.

    One-cycle: half a cosine up from 0 over the first 30 %, half a cosine down to 0 over the rest
    (Smith & Topin (2019), arXiv:1708.07120).
    """
    if recipe.schedule == "steps":
        return recipe.learning_rate * STEP_FACTOR ** (int(epoch) // STEP_EPOCHS)
    done = epoch / recipe.epochs
    if done < ONE_CYCLE_RISE:
        height = (1 - math.cos(math.pi * done / ONE_CYCLE_RISE)) / 2
    else:
        height = (1 + math.cos(math.pi * (done - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))) / 2
    return recipe.learning_rate * height


def _augment(images: Images, recipe: SgdRecipe, generator: torch.Generator) -> Images:
    if recipe.shift_pixels:
        images = shift(images, recipe.shift_pixels, generator)
    return flip(images, generator) if recipe.is_flipped else images
