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
