"""Samplers: from a specification to the steps it asks for."""

from collections.abc import Iterator
from typing import assert_never

from torch import Tensor

from replicalab.domain.discretisations import LinearSchedule, ScheduleSpec, VeSchedule, VpSchedule
from replicalab.domain.samplers import (
    AblationSampler,
    DpmSolverSampler,
    EulerSampler,
    HeunSampler,
    SamplerSpec,
)
from replicalab.errors import IncompatibleParts
from replicalab_worker.science.diffusion import ablation
from replicalab_worker.science.diffusion.multistep import dpm_solver
from replicalab_worker.science.diffusion.samplers import (
    Churn,
    Denoiser,
    NoiseSource,
    Step,
    euler,
    heun,
)

LEVEL_TOLERANCE = 1e-6
"""Relative; roots and powers do not return a level exactly."""


def remaining_steps(
    sampler: SamplerSpec, t_re: int, denoise: Denoiser, noisy: Tensor, noise: NoiseSource
) -> Iterator[Step]:
    """The last ``t_re`` steps of ``sampler``.

    Args:
        sampler: What was asked for.
        t_re: Remaining steps, 1 to N.
        denoise: The denoiser.
        noisy: Images that carry noise of std ``sampler.start_sigma(t_re)``, float64.
        noise: Noise of each step, for samplers that add any.
    """
    levels, start = sampler.levels(), sampler.steps - t_re
    match sampler:
        case EulerSampler():
            return euler(denoise, noisy, levels, start=start)
        case HeunSampler():
            churn = Churn(sampler.s_churn, sampler.s_min, sampler.s_max, sampler.s_noise)
            return heun(denoise, noisy, levels, start=start, churn=churn, noise=noise)
        case DpmSolverSampler():
            return dpm_solver(denoise, noisy, levels, start=start)
        case AblationSampler():
            return ablation.ablation(
                denoise,
                noisy,
                levels,
                process_of(sampler),
                is_second_order=sampler.solver == "heun",
                start=start,
            )
        case _:
            assert_never(sampler)


def check_levels(sampler: SamplerSpec, t_re: int, sigma_range: tuple[float, float]) -> None:
    """Refuse to sample where the network was never trained.

    Args:
        sampler: What was asked for.
        t_re: Remaining steps, 1 to N.
        sigma_range: Lowest and highest noise level the network was made for.

    Raises:
        IncompatibleParts: One of the remaining steps begins outside.
    """
    levels = sampler.levels()[sampler.steps - t_re : -1]
    lowest, highest = sigma_range
    slack = 1 + LEVEL_TOLERANCE
    if levels[-1] * slack < lowest or levels[0] > highest * slack:
        raise IncompatibleParts(
            f"The generator was made for noise levels from {lowest:.6g} to {highest:.6g}; the "
            f"sampler takes its last {t_re} steps from {levels[0]:.6g} down to {levels[-1]:.6g}. "
            "Change the sampler's sigma_min, sigma_max or discretisation, or choose a lower t_re."
        )


def process_of(sampler: AblationSampler) -> ablation.Process:
    """The ODE that the sampler solves."""
    return ablation.Process(_schedule(sampler.schedule), is_scaled=sampler.scaling == "vp")


def _schedule(schedule: ScheduleSpec) -> ablation.Schedule:
    match schedule:
        case LinearSchedule():
            return ablation.LinearSchedule()
        case VeSchedule():
            return ablation.VeSchedule()
        case VpSchedule(beta_d=beta_d, beta_min=beta_min):
            return ablation.VpSchedule(beta_d, beta_min)
        case _:
            assert_never(schedule)
