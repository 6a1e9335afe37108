"""Algorithm 1 of Karras et al. (2022), arXiv:2206.00364, on any schedule and scaling.

The probability-flow ODE of eq. 4, ``dx/dt = (sigma'/sigma + s'/s) x - s sigma'/sigma D(x/s)``:
what solvers of other works step through, table 1. Here ``x = s(t) (image + sigma(t) noise)``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from replicalab_worker.science.diffusion.samplers import Denoiser, Images, Step


@runtime_checkable
class Schedule(Protocol):
    """``sigma(t)``, seen from sigma."""

    def time(self, sigma: float) -> float:
        """The t at which the level is ``sigma``, at least 0; 0 at sigma 0."""

    def rate(self, sigma: float, /) -> float:
        """``d sigma / dt`` where the level is ``sigma``, which is above 0."""


class LinearSchedule:
    """``sigma = t``."""

    def time(self, sigma: float) -> float:
        return sigma

    def rate(self, _sigma: float, /) -> float:
        return 1.0


class VeSchedule:
    """Variance exploding: ``sigma = sqrt(t)``."""

    def time(self, sigma: float) -> float:
        return sigma**2

    def rate(self, sigma: float, /) -> float:
        return 1 / (2 * sigma)


@dataclass(frozen=True, slots=True)
class VpSchedule:
    """Variance preserving: ``sigma^2 = exp(beta_d t^2 / 2 + beta_min t) - 1``."""

    beta_d: float
    beta_min: float

    def time(self, sigma: float) -> float:
        grown = 2 * self.beta_d * math.log1p(sigma**2)
        return (math.sqrt(self.beta_min**2 + grown) - self.beta_min) / self.beta_d

    def rate(self, sigma: float, /) -> float:
        return (self.beta_d * self.time(sigma) + self.beta_min) * (sigma + 1 / sigma) / 2


@dataclass(frozen=True, slots=True)
class Process:
    """Which ODE is solved.

    Attributes:
        schedule: How the noise level moves with time.
        is_scaled: Whether ``s = 1 / sqrt(1 + sigma^2)``, so that the variance is kept; else 1.
    """

    schedule: Schedule
    is_scaled: bool

    def scale(self, sigma: float) -> float:
        """``s`` where the level is ``sigma``."""
        return 1 / math.sqrt(1 + sigma**2) if self.is_scaled else 1.0

    def slope(self, denoise: Denoiser, scaled: Images, sigma: float) -> Images:
        """``dx/dt`` of eq. 4 at ``scaled``, images under noise, times ``s``."""
        scale, rate = self.scale(sigma), self.schedule.rate(sigma)
        fading = -rate * sigma * scale**2 if self.is_scaled else 0.0  # s'/s
        denoised = denoise(scaled / scale, sigma)
        towards: Images = (rate / sigma + fading) * scaled - rate / sigma * scale * denoised
        return towards


def ablation(
    denoise: Denoiser,
    noisy: Images,
    levels: Sequence[float],
    process: Process,
    *,
    is_second_order: bool,
    start: int = 0,
) -> Iterator[Step]:
    """Euler's or Heun's steps in time; every step yields images without the scaling.

    Args:
        denoise: The denoiser.
        noisy: Images that carry noise of std ``levels[start]``, not scaled, float64.
        levels: The N + 1 noise levels, strictly decreasing; the last is 0.
        process: The ODE.
        is_second_order: Heun (two denoiser calls a step, one in the last) instead of Euler (one).
        start: Index of the level to begin at, 0 to N - 1.
    """
    time = process.schedule.time
    scaled = noisy * process.scale(levels[start])
    for index in range(start, len(levels) - 1):
        sigma, lower = levels[index], levels[index + 1]
        span = time(lower) - time(sigma)
        here = process.slope(denoise, scaled, sigma)
        guess = scaled + span * here
        if is_second_order and lower > 0:
            there = process.slope(denoise, guess, lower)
            guess = scaled + span * (here + there) / 2
        scaled = guess
        yield Step(index, lower, scaled / process.scale(lower))
