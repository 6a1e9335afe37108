"""Samplers: Karras et al. (2022), arXiv:2206.00364, algorithms 1 and 2.

A sampler is a generator. It yields after every step and never reports, saves or checks for
cancellation itself: whoever iterates it does, and stops by not asking again. It starts anywhere
on the ladder of noise levels: at the top to generate, lower to reconstruct.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "batch *pixel"]

MAX_CHURN = math.sqrt(2) - 1
"""Most by which a step may raise the noise level, relative: the new noise never exceeds it."""


@runtime_checkable
class Denoiser(Protocol):
    """``D(x; sigma)``: the expected clean images, same shape and type as ``x``."""

    def __call__(self, noisy: Images, sigma: float) -> Images: ...


@runtime_checkable
class NoiseSource(Protocol):
    """Standard normal noise for step ``step``, same shape and type as the images."""

    def __call__(self, step: int) -> Images: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step: ``images`` now carry noise of std ``sigma``."""

    index: int
    sigma: float
    images: Images


@dataclass(frozen=True, slots=True)
class Churn:
    """Noise added before each step, algorithm 2.

    Attributes:
        amount: ``S_churn``; 0 is deterministic.
        sigma_min: ``S_tmin``, lowest level at which noise is added.
        sigma_max: ``S_tmax``, highest such level.
        noise_scale: ``S_noise``, std of the added noise relative to what the level asks for.
    """

    amount: float = 0.0
    sigma_min: float = 0.0
    sigma_max: float = math.inf
    noise_scale: float = 1.0

    def factor(self, sigma: float, steps: int) -> float:
        """``gamma``: by what share of itself ``sigma`` is raised in one of ``steps`` steps."""
        if not self.sigma_min <= sigma <= self.sigma_max:
            return 0.0
        return min(self.amount / steps, MAX_CHURN)


NO_CHURN = Churn()


def slope(denoise: Denoiser, noisy: Images, sigma: float) -> Images:
    """``dx/dsigma`` of the probability-flow ODE, eq. 3 with ``sigma(t) = t``."""
    toward: Images = (noisy - denoise(noisy, sigma)) / sigma
    return toward


def euler(
    denoise: Denoiser, noisy: Images, levels: Sequence[float], *, start: int = 0
) -> Iterator[Step]:
    """First-order steps from level ``start`` down the ladder: one denoiser call each.

    Args:
        denoise: The denoiser.
        noisy: Images that carry noise of std ``levels[start]``, float64.
        levels: The N + 1 noise levels, strictly decreasing; the last is 0.
        start: Index of the level to begin at, 0 to N - 1.
    """
    images = noisy
    for index in range(start, len(levels) - 1):
        sigma, lower = levels[index], levels[index + 1]
        images = images + (lower - sigma) * slope(denoise, images, sigma)
        yield Step(index, lower, images)


def heun(
    denoise: Denoiser,
    noisy: Images,
    levels: Sequence[float],
    *,
    start: int = 0,
    churn: Churn = NO_CHURN,
    noise: NoiseSource | None = None,
) -> Iterator[Step]:
    """Second-order steps: two denoiser calls each, one in the step that ends at 0.

    Args:
        denoise: The denoiser.
        noisy: Images that carry noise of std ``levels[start]``, float64.
        levels: The N + 1 noise levels, strictly decreasing; the last is 0.
        start: Index of the level to begin at, 0 to N - 1.
        churn: How much noise each step adds first.
        noise: Where that noise comes from, by step index; needed if ``churn`` adds any.

    Raises:
        ValueError: ``churn`` adds noise and there is no source.
    """
    images = noisy
    steps = len(levels) - 1
    for index in range(start, steps):
        sigma, lower = levels[index], levels[index + 1]
        factor = churn.factor(sigma, steps)
        if factor > 0:
            if noise is None:
                raise ValueError("churn adds noise; pass a noise source")
            raised = sigma * (1 + factor)
            added = math.sqrt(raised**2 - sigma**2) * churn.noise_scale
            images, sigma = images + added * noise(index), raised
        here = slope(denoise, images, sigma)
        guess = images + (lower - sigma) * here
        if lower > 0:
            there = slope(denoise, guess, lower)
            guess = images + (lower - sigma) * (here + there) / 2
        images = guess
        yield Step(index, lower, images)
