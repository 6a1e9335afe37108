"""Samplers, their noise levels, and what ``t_re`` means in them.

Karras et al. (2022), arXiv:2206.00364: eq. 5 (noise levels), algorithms 1 and 2 (samplers),
table 1 (the alternatives it compares). Lu et al. (2022), arXiv:2211.01095: DPM-Solver++.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import Field, model_validator

from replicalab.domain.discretisations import (
    MAX_STEPS,
    Discretisation,
    EdmDiscretisation,
    LinearSchedule,
    ScheduleSpec,
)
from replicalab.domain.models import Frozen
from replicalab.domain.noise_levels import edm_levels

Start = Literal["diffuse", "noise"]
"""How a reconstruction at ``t_re = N`` begins: the diffused image, or pure noise."""


class _Sampler(Frozen, ABC):
    """What planning asks of every sampler."""

    steps: int = Field(default=18, ge=2, le=MAX_STEPS, description="N, the steps from pure noise.")

    @abstractmethod
    def levels(self) -> tuple[float, ...]:
        """The N + 1 noise levels, strictly decreasing, ending in 0."""

    @abstractmethod
    def evaluations(self, t_re: int) -> int:
        """Network evaluations (NFE) per image."""

    def start_sigma(self, t_re: int) -> float:
        """Noise level (std, images in [-1, 1]) at which ``t_re`` remaining steps begin."""
        return self.levels()[self.steps - t_re]


class _EdmSampler(_Sampler):
    """Noise levels shared by every sampler on the EDM schedule."""

    sigma_min: float = Field(default=0.002, gt=0, le=1)
    sigma_max: float = Field(default=80.0, gt=0, le=1e4)
    rho: float = Field(default=7.0, ge=1, le=100)

    @model_validator(mode="after")
    def _levels_must_fall(self) -> "_EdmSampler":
        if self.sigma_min >= self.sigma_max:
            raise ValueError("sigma_min must be below sigma_max")
        return self

    def levels(self) -> tuple[float, ...]:
        """The N + 1 noise levels of eq. 5, strictly decreasing, ending in 0."""
        falling = edm_levels(
            self.steps, sigma_min=self.sigma_min, sigma_max=self.sigma_max, rho=self.rho
        )
        return (*falling, 0.0)


class HeunSampler(_EdmSampler):
    """Second-order sampler, algorithm 2; deterministic (algorithm 1) while ``s_churn`` is 0."""

    kind: Literal["heun"] = "heun"
    s_churn: float = Field(default=0.0, ge=0, le=1000)
    s_min: float = Field(default=0.0, ge=0)
    s_max: float = Field(default=1e9, gt=0, le=1e9)
    s_noise: float = Field(default=1.0, gt=0, le=2)

    def evaluations(self, t_re: int) -> int:
        """Network evaluations (NFE) per image: two a step, one in the last."""
        return max(2 * t_re - 1, 0)


class EulerSampler(_EdmSampler):
    """First-order deterministic sampler."""

    kind: Literal["euler"] = "euler"

    def evaluations(self, t_re: int) -> int:
        """Network evaluations (NFE) per image: one a step."""
        return t_re


class DpmSolverSampler(_EdmSampler):
    """DPM-Solver++(2M), Lu et al. (2022): second order at one evaluation a step."""

    kind: Literal["dpm-solver++"] = "dpm-solver++"

    def evaluations(self, t_re: int) -> int:
        """Network evaluations (NFE) per image: one a step, the step before is remembered."""
        return t_re


class AblationSampler(_Sampler):
    """Any column of table 1: algorithm 1 on the discretisation, schedule and scaling of choice.

    ``t_re`` steps remain and levels are sigmas whatever the schedule, so that reconstructions of
    different samplers can be compared by the level they started from.
    """

    kind: Literal["ablation"] = "ablation"
    solver: Literal["euler", "heun"] = "heun"
    discretisation: Discretisation = EdmDiscretisation()
    schedule: ScheduleSpec = LinearSchedule()
    scaling: Literal["none", "vp"] = Field(
        default="none", description="vp keeps the variance: images are scaled by 1/sqrt(1+sigma^2)."
    )

    @model_validator(mode="after")
    def _levels_must_fall(self) -> "AblationSampler":
        self.discretisation.levels(self.steps)
        return self

    def levels(self) -> tuple[float, ...]:
        """The N + 1 noise levels of the discretisation, strictly decreasing, ending in 0."""
        return (*self.discretisation.levels(self.steps), 0.0)

    def evaluations(self, t_re: int) -> int:
        """Network evaluations (NFE) per image, as the solver makes them."""
        return max(2 * t_re - 1, 0) if self.solver == "heun" else t_re


SamplerSpec = Annotated[
    HeunSampler | EulerSampler | DpmSolverSampler | AblationSampler, Field(discriminator="kind")
]
