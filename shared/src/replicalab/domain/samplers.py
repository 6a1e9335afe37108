"""Samplers, their noise levels, and what ``t_re`` means in them.

Karras et al. (2022), arXiv:2206.00364: eq. 5 (noise levels), algorithms 1 and 2 (samplers).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from replicalab.domain.models import Frozen

MAX_STEPS = 1000

Start = Literal["diffuse", "noise"]
"""How a reconstruction at ``t_re = N`` begins: the diffused image, or pure noise."""


class _EdmSampler(Frozen):
    """Noise levels shared by every sampler on the EDM schedule."""

    steps: int = Field(default=18, ge=2, le=MAX_STEPS, description="N, the steps from pure noise.")
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
        high, low = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        last = self.steps - 1
        return (*((high + i / last * (low - high)) ** self.rho for i in range(self.steps)), 0.0)

    def start_sigma(self, t_re: int) -> float:
        """Noise level (std, images in [-1, 1]) at which ``t_re`` remaining steps begin."""
        return self.levels()[self.steps - t_re]


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


SamplerSpec = Annotated[HeunSampler | EulerSampler, Field(discriminator="kind")]
