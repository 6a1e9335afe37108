"""Noise levels and schedules of the ablation in Karras et al. (2022), arXiv:2206.00364, table 1."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from replicalab.domain.models import Frozen
from replicalab.domain.noise_levels import edm_levels, iddpm_levels, ve_levels, vp_levels

MAX_STEPS = 1000
HIGHEST_SIGMA = 1e4

BetaD = Annotated[float, Field(gt=0, le=100, description="Growth of the noise rate over time.")]
BetaMin = Annotated[float, Field(gt=0, le=100, description="Noise rate at time 0.")]
SigmaMin = Annotated[float, Field(gt=0, le=1)]
SigmaMax = Annotated[float, Field(gt=0, le=HIGHEST_SIGMA)]


def _strictly_falling(levels: tuple[float, ...]) -> tuple[float, ...]:
    if levels[0] > HIGHEST_SIGMA:
        raise ValueError(f"levels must not exceed {HIGHEST_SIGMA:g}; the first is {levels[0]:g}")
    if any(lower >= level for level, lower in pairwise((*levels, 0.0))):
        raise ValueError("levels must fall strictly: raise sigma_max or lower sigma_min")
    return levels


class EdmDiscretisation(Frozen):
    """Even steps of ``sigma^(1/rho)``: the paper's own."""

    kind: Literal["edm"] = "edm"
    sigma_min: SigmaMin = 0.002
    sigma_max: SigmaMax = 80.0
    rho: float = Field(default=7.0, ge=1, le=100)

    def levels(self, steps: int) -> tuple[float, ...]:
        """The ``steps`` positive levels, falling."""
        return _strictly_falling(
            edm_levels(steps, sigma_min=self.sigma_min, sigma_max=self.sigma_max, rho=self.rho)
        )


class VpDiscretisation(Frozen):
    """Even steps of the variance-preserving process's time, from 1 to ``epsilon_s``."""

    kind: Literal["vp"] = "vp"
    beta_d: BetaD = 19.9
    beta_min: BetaMin = 0.1
    epsilon_s: float = Field(default=1e-3, gt=0, lt=1, description="Least time.")

    def levels(self, steps: int) -> tuple[float, ...]:
        """The ``steps`` positive levels, falling."""
        return _strictly_falling(
            vp_levels(steps, beta_d=self.beta_d, beta_min=self.beta_min, epsilon_s=self.epsilon_s)
        )


class VeDiscretisation(Frozen):
    """Even steps of ``ln sigma``."""

    kind: Literal["ve"] = "ve"
    sigma_min: SigmaMin = 0.02
    sigma_max: SigmaMax = 100.0

    def levels(self, steps: int) -> tuple[float, ...]:
        """The ``steps`` positive levels, falling."""
        return _strictly_falling(
            ve_levels(steps, sigma_min=self.sigma_min, sigma_max=self.sigma_max)
        )


class IddpmDiscretisation(Frozen):
    """Evenly spaced entries of the list of levels that iDDPM trains on; equal to DDIM's steps."""

    kind: Literal["iddpm"] = "iddpm"
    timesteps: int = Field(default=1000, ge=2, le=10_000, description="M, length of the list.")
    c_1: float = Field(default=0.001, gt=0, lt=1, description="Least share of signal kept a step.")
    c_2: float = Field(default=0.008, gt=0, le=1, description="Offset of the cosine schedule.")
    sigma_max: SigmaMax = Field(default=81.0, description="Entries above are left out: j_0 = 8.")

    def levels(self, steps: int) -> tuple[float, ...]:
        """The ``steps`` positive levels, falling; at most as many as the list has."""
        return _strictly_falling(
            iddpm_levels(
                steps,
                timesteps=self.timesteps,
                c_1=self.c_1,
                c_2=self.c_2,
                sigma_max=self.sigma_max,
            )
        )


Discretisation = Annotated[
    EdmDiscretisation | VpDiscretisation | VeDiscretisation | IddpmDiscretisation,
    Field(discriminator="kind"),
]


class LinearSchedule(Frozen):
    """``sigma = t``: the paths between images and noise are as straight as they can be."""

    kind: Literal["linear"] = "linear"


class VeSchedule(Frozen):
    """``sigma = sqrt(t)``: the variance-exploding process."""

    kind: Literal["ve"] = "ve"


class VpSchedule(Frozen):
    """``sigma = sqrt(exp(beta_d t^2 / 2 + beta_min t) - 1)``: the variance-preserving process."""

    kind: Literal["vp"] = "vp"
    beta_d: BetaD = 19.9
    beta_min: BetaMin = 0.1


ScheduleSpec = Annotated[LinearSchedule | VeSchedule | VpSchedule, Field(discriminator="kind")]
