"""Noise levels at which samplers stop: Karras et al. (2022), arXiv:2206.00364, table 1.

Levels are standard deviations of noise on images in [-1, 1]. Every function gives N positive
levels, falling; the 0 they all end in is left to the caller.
"""

import math
from functools import lru_cache


def edm_levels(steps: int, *, sigma_min: float, sigma_max: float, rho: float) -> tuple[float, ...]:
    """The EDM discretisation, eq. 5: even steps of ``sigma^(1/rho)``."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    last = steps - 1
    return tuple((high + i / last * (low - high)) ** rho for i in range(steps))


def vp_levels(steps: int, *, beta_d: float, beta_min: float, epsilon_s: float) -> tuple[float, ...]:
    """The variance-preserving discretisation: even steps of time from 1 to ``epsilon_s``."""
    last = steps - 1
    return tuple(
        vp_sigma(1 + i / last * (epsilon_s - 1), beta_d=beta_d, beta_min=beta_min)
        for i in range(steps)
    )


def vp_sigma(time: float, *, beta_d: float, beta_min: float) -> float:
    """Level that the variance-preserving process has reached at ``time``, 0 to 1."""
    return math.sqrt(math.expm1(beta_d * time**2 / 2 + beta_min * time))


def ve_levels(steps: int, *, sigma_min: float, sigma_max: float) -> tuple[float, ...]:
    """The variance-exploding discretisation: even steps of ``ln sigma``."""
    return tuple(sigma_max * (sigma_min / sigma_max) ** (i / (steps - 1)) for i in range(steps))


def iddpm_levels(
    steps: int, *, timesteps: int, c_1: float, c_2: float, sigma_max: float
) -> tuple[float, ...]:
    """The iDDPM discretisation: evenly spaced entries of the network's own list of levels.

    Args:
        steps: N, at most the entries up to ``sigma_max``.
        timesteps: M, length of that list.
        c_1: Least share of signal that a step of the list keeps.
        c_2: Offset of the cosine schedule.
        sigma_max: Entries above are left out; decides ``j_0``.

    Raises:
        ValueError: The list has fewer entries than ``steps``.
    """
    usable = [sigma for sigma in iddpm_grid(timesteps, c_1, c_2) if sigma <= sigma_max]
    if len(usable) < steps:
        raise ValueError(
            f"iDDPM has {len(usable)} levels up to sigma_max {sigma_max:g}, {steps} were asked for"
        )
    spacing = (len(usable) - 1) / (steps - 1)
    return tuple(usable[math.floor(spacing * i + 0.5)] for i in range(steps))


@lru_cache(maxsize=16)
def iddpm_grid(timesteps: int, c_1: float, c_2: float) -> tuple[float, ...]:
    """``u_0`` to ``u_(M-1)``: levels an iDDPM network was trained on, falling."""

    def signal(j: int) -> float:
        return math.sin(math.pi / 2 * j / (timesteps * (c_2 + 1))) ** 2

    levels = [0.0]
    for j in range(timesteps, 0, -1):
        kept = max(signal(j - 1) / signal(j), c_1)
        levels.append(math.sqrt((levels[-1] ** 2 + 1) / kept - 1))
    return tuple(reversed(levels[1:]))
