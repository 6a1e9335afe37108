"""Samplers against data whose ideal denoiser is known: a Gaussian."""

import math
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

from replicalab_worker.science.diffusion.samplers import Churn, Step, euler, heun

DATA_STD = 0.5
Sampler = Callable[..., Iterator[Step]]


def ideal_denoiser(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
    """``E[x0 | x]`` for zero-mean Gaussian data of std ``DATA_STD``."""
    return noisy * DATA_STD**2 / (DATA_STD**2 + sigma**2)


def levels_of(steps: int) -> list[float]:
    high, low = 80 ** (1 / 7), 0.002 ** (1 / 7)
    return [*((high + i / (steps - 1) * (low - high)) ** 7 for i in range(steps)), 0.0]


def exact_end(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
    """Where the probability-flow ODE takes ``noisy`` from ``sigma`` down to 0."""
    return noisy * DATA_STD / math.sqrt(DATA_STD**2 + sigma**2)


def error_at(sampler: Sampler, steps: int) -> float:
    """Error at the lowest positive level: the last Euler step to 0 is first order for all."""
    levels = levels_of(steps)
    noisy = torch.full((1, 1), levels[0], dtype=torch.float64)
    *_, before_last, _ = sampler(ideal_denoiser, noisy, levels)
    exact = exact_end(noisy, levels[0]) * math.sqrt(1 + (before_last.sigma / DATA_STD) ** 2)
    return float((before_last.images - exact).abs().max())


@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (heun, 2)])
def test_halving_the_step_size_divides_the_error_by_two_to_the_order(
    sampler: Sampler, order: int
) -> None:
    ratios = [error_at(sampler, n) / error_at(sampler, 2 * n) for n in (128, 256)]
    observed = [math.log2(ratio) for ratio in ratios]
    assert observed == pytest.approx([order, order], abs=0.1)


def test_a_start_lower_on_the_ladder_takes_only_the_remaining_steps() -> None:
    levels = levels_of(18)
    noisy = torch.full((2, 1), 0.3, dtype=torch.float64)
    steps = list(heun(ideal_denoiser, noisy, levels, start=13))
    assert [step.index for step in steps] == [13, 14, 15, 16, 17]
    assert [step.sigma for step in steps] == levels[14:]
    exact = exact_end(noisy, levels[13])
    torch.testing.assert_close(steps[-1].images, exact, rtol=2e-3, atol=0)


def count_calls(sampler: Sampler, levels: Sequence[float], start: int) -> int:
    calls = 0

    def denoise(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return ideal_denoiser(noisy, sigma)

    for _ in sampler(denoise, torch.ones(1, 1, dtype=torch.float64), levels, start=start):
        pass
    return calls


@pytest.mark.parametrize("t_re", [1, 2, 9, 18])
def test_samplers_call_the_denoiser_as_often_as_planned(t_re: int) -> None:
    assert count_calls(heun, levels_of(18), 18 - t_re) == 2 * t_re - 1
    assert count_calls(euler, levels_of(18), 18 - t_re) == t_re


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
