"""Intervals against textbook values."""

import numpy as np
import pytest

from replicalab_metrics.measures.intervals import (
    Estimate,
    difference,
    jackknife_interval,
    mean_interval,
    wilson_interval,
)


def test_three_seeds_get_the_t_quantile_of_two_degrees_of_freedom() -> None:
    bounds = mean_interval(np.array([0.90, 0.92, 0.94]))
    quantile = 0.95 * np.sqrt(2 / (4 * 0.975 * 0.025))  # closed form of two degrees of freedom
    margin = quantile * 0.02 / np.sqrt(3)
    assert bounds == pytest.approx((0.92 - margin, 0.92 + margin), rel=1e-12)


def test_wilson_agrees_with_its_published_example() -> None:
    # Newcombe (1998), table I, method 3: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_reaches_zero_and_one_exactly() -> None:
    assert wilson_interval(0, 20).low == 0.0
    assert wilson_interval(20, 20).high == 1.0
    assert wilson_interval(20, 20).low == pytest.approx(0.8389, abs=5e-5)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).standard_normal(12)
    leave_one_out = [float(np.delete(values, i).mean()) for i in range(12)]
    bounds = jackknife_interval(float(values.mean()), leave_one_out)
    assert bounds == pytest.approx(mean_interval(values), rel=1e-12)


def test_a_difference_has_the_root_of_the_summed_squared_margins() -> None:
    a, b = Estimate(5.0, 2.0, 8.0), Estimate(1.0, -3.0, 5.0)
    assert difference(a, b) == pytest.approx((4.0, -1.0, 9.0))


def test_a_difference_takes_each_margin_from_its_own_side() -> None:
    a, b = Estimate(5.0, 2.0, 6.0), Estimate(1.0, -3.0, 1.0)
    assert difference(a, b) == pytest.approx((4.0, 1.0, 4.0 + np.sqrt(17)))
