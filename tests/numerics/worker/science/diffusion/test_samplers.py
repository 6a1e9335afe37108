"""Samplers against data whose ideal denoiser is known: a Gaussian."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import pytest
import torch

from replicalab.domain.samplers import (
    AblationSampler,
    DpmSolverSampler,
    EulerSampler,
    HeunSampler,
    SamplerSpec,
)
from replicalab_worker.pipelines.sampling import remaining_steps
from replicalab_worker.science.diffusion.ablation import (
    LinearSchedule,
    Process,
    Schedule,
    VeSchedule,
    VpSchedule,
    ablation,
)
from replicalab_worker.science.diffusion.multistep import dpm_solver
from replicalab_worker.science.diffusion.samplers import Churn, Step, euler, heun

DATA_STD = 0.5
Sampler = Callable[..., Iterator[Step]]

VP = VpSchedule(beta_d=19.9, beta_min=0.1)


def ablated(schedule: Schedule, *, is_scaled: bool = False, order: int = 2) -> Sampler:
    process = Process(schedule, is_scaled=is_scaled)
    return partial(ablation, process=process, is_second_order=order == 2)


SAMPLERS = {
    "euler": (euler, 1),
    "heun": (heun, 2),
    "dpm-solver++": (dpm_solver, 2),
    "euler, linear": (ablated(LinearSchedule(), order=1), 1),
    "heun, vp, scaled": (ablated(VP, is_scaled=True), 2),
    "heun, vp": (ablated(VP), 2),
    "heun, linear, scaled": (ablated(LinearSchedule(), is_scaled=True), 2),
    "heun, ve": (ablated(VeSchedule()), 2),
}
each_sampler = pytest.mark.parametrize(("sampler", "order"), SAMPLERS.values(), ids=SAMPLERS.keys())


def ideal_denoiser(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
    """``E[x0 | x]`` for zero-mean Gaussian data of std ``DATA_STD``."""
    return noisy * DATA_STD**2 / (DATA_STD**2 + sigma**2)


def levels_of(steps: int) -> list[float]:
    high, low = 80 ** (1 / 7), 0.002 ** (1 / 7)
    return [*((high + i / (steps - 1) * (low - high)) ** 7 for i in range(steps)), 0.0]


def exact_end(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
    """Where the probability-flow ODE takes ``noisy`` from ``sigma`` down to 0."""
    return noisy * DATA_STD / math.sqrt(DATA_STD**2 + sigma**2)


def error_at(sampler: Sampler, steps: int, start: int = 0) -> float:
    """Error at the lowest positive level: the last Euler step to 0 is first order for all."""
    levels = levels_of(steps)
    noisy = torch.full((1, 1), levels[start], dtype=torch.float64)
    *_, before_last, _ = sampler(ideal_denoiser, noisy, levels, start=start)
    remaining = math.sqrt(1 + (before_last.sigma / DATA_STD) ** 2)
    exact = exact_end(noisy, levels[start]) * remaining
    return float((before_last.images - exact).abs().max())


@each_sampler
@pytest.mark.parametrize("share", [0, 0.5], ids=["from the top", "from the middle"])
def test_halving_the_step_size_divides_the_error_by_two_to_the_order(
    sampler: Sampler, order: int, share: float
) -> None:
    counts = (128, 256, 512)
    errors = [error_at(sampler, n, start=round(share * (n - 1))) for n in counts]
    observed = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert observed == pytest.approx([order, order], abs=0.1)


def test_a_start_lower_on_the_ladder_takes_only_the_remaining_steps() -> None:
    levels = levels_of(18)
    noisy = torch.full((2, 1), 0.3, dtype=torch.float64)
    steps = list(heun(ideal_denoiser, noisy, levels, start=13))
    assert [step.index for step in steps] == [13, 14, 15, 16, 17]
    assert [step.sigma for step in steps] == levels[14:]
    exact = exact_end(noisy, levels[13])
    torch.testing.assert_close(steps[-1].images, exact, rtol=2e-3, atol=0)


@each_sampler
def test_steps_end_at_the_levels_below_the_start(sampler: Sampler, order: int) -> None:
    levels = levels_of(18)
    steps = list(sampler(ideal_denoiser, torch.ones(1, 1, dtype=torch.float64), levels, start=15))
    assert [(step.index, step.sigma) for step in steps] == [
        (15, levels[16]),
        (16, levels[17]),
        (17, 0.0),
    ]


@each_sampler
def test_every_step_yields_images_that_carry_noise_of_its_level(
    sampler: Sampler, order: int
) -> None:
    """Scaled processes too: the variance on the way is that of data under noise."""
    levels = levels_of(512)
    noisy = torch.full((1, 1), math.hypot(levels[0], DATA_STD), dtype=torch.float64)
    for step in sampler(ideal_denoiser, noisy, levels):
        assert float(step.images) == pytest.approx(math.hypot(step.sigma, DATA_STD), rel=0.05)


@pytest.mark.parametrize("t_re", [1, 2, 9, 18])
@pytest.mark.parametrize(
    "spec",
    [
        HeunSampler(),
        EulerSampler(),
        DpmSolverSampler(),
        AblationSampler(),
        AblationSampler(solver="euler"),
    ],
    ids=lambda spec: spec.kind,
)
def test_samplers_call_the_denoiser_as_often_as_planned(spec: SamplerSpec, t_re: int) -> None:
    calls = []

    def denoise(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
        calls.append(sigma)
        return ideal_denoiser(noisy, sigma)

    noisy = torch.ones(1, 1, dtype=torch.float64)
    steps = list(remaining_steps(spec, t_re, denoise, noisy, lambda _: noisy))
    assert len(steps) == t_re
    assert len(calls) == spec.evaluations(t_re)
    assert calls[0] == spec.start_sigma(t_re)


def test_the_multistep_solver_is_exact_where_the_denoised_image_moves_evenly() -> None:
    """Extrapolation is exact for D linear in ln sigma, but for the first step's constant."""
    levels = [8.0, 4.0, 1.0, 0.5, 0.0]
    noisy = torch.ones(1, 1, dtype=torch.float64)

    def denoise(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
        return torch.full_like(noisy, -math.log(sigma))

    first, second, *_ = dpm_solver(denoise, noisy, levels)
    assert float(first.images) == pytest.approx(0.5 - 0.5 * math.log(8))
    middle = -math.log(4) + math.log(4 / 1) / (2 * math.log(8 / 4)) * math.log(8 / 4)
    assert float(second.images) == pytest.approx(float(first.images) / 4 + 0.75 * middle)


@pytest.mark.parametrize("schedule", [LinearSchedule(), VeSchedule(), VP], ids=lambda s: str(s)[:9])
def test_the_rate_is_the_slope_of_sigma_over_time(schedule: Schedule) -> None:
    for sigma in (0.01, 0.5, 20.0):
        near = (sigma * (1 - 1e-5), sigma * (1 + 1e-5))
        span = schedule.time(near[1]) - schedule.time(near[0])
        assert schedule.rate(sigma) == pytest.approx((near[1] - near[0]) / span, rel=1e-4)
    assert schedule.time(0.0) == 0


def test_churn_keeps_the_distribution_of_the_data() -> None:
    generator = torch.Generator().manual_seed(3)
    levels = levels_of(64)
    shape = (20_000, 1)

    def noise(step: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    noisy = noise(-1) * levels[0]
    *_, last = heun(ideal_denoiser, noisy, levels, churn=Churn(amount=20.0), noise=noise)
    standard_error = DATA_STD / math.sqrt(2 * len(noisy))
    assert float(last.images.std()) == pytest.approx(DATA_STD, abs=4 * standard_error)


def test_churn_is_limited_to_its_noise_levels_and_to_doubling_the_variance() -> None:
    churn = Churn(amount=10.0, sigma_min=0.05, sigma_max=50.0)
    assert churn.factor(0.04, 100) == 0
    assert churn.factor(51.0, 100) == 0
    assert churn.factor(1.0, 100) == pytest.approx(0.1)
    assert churn.factor(1.0, 10) == pytest.approx(math.sqrt(2) - 1)


def test_churn_without_a_noise_source_is_refused() -> None:
    noisy = torch.ones(1, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="noise source"):
        next(heun(ideal_denoiser, noisy, levels_of(8), churn=Churn(amount=1.0)))
