"""Intervals against textbook values."""

import numpy as np
import pytest

from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.intervals import (
    Estimate,
    difference,
    jackknife_interval,
    mean_interval,
    paired_share_interval,
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


def pairs(both: int, one: int, none: int) -> np.ndarray:
    """Pairs of which both, one or none of the items are members."""
    return np.repeat(
        np.array([[True, True], [True, False], [False, False]]), [both, one, none], axis=0
    )


def test_pairs_that_always_agree_count_once() -> None:
    found = paired_share_interval(pairs(both=30, one=0, none=70))
    # The sample variance has n - 1: pairs may count for a little less than one, and do not.
    assert found == pytest.approx(wilson_interval(30, 100), rel=1e-12)


def test_pairs_that_agree_as_often_as_chance_count_nearly_twice() -> None:
    found = paired_share_interval(pairs(both=25, one=50, none=25))
    assert found == pytest.approx(wilson_interval(100, 200), abs=1e-3)


def test_pairs_that_disagree_do_not_make_an_interval_narrower_than_independent_items_do() -> None:
    found = paired_share_interval(pairs(both=0, one=100, none=0))
    assert found == pytest.approx(wilson_interval(100, 200), rel=1e-12)


def test_shares_of_none_and_all_count_pairs() -> None:
    assert paired_share_interval(pairs(0, 0, 20)) == wilson_interval(0, 20)
    assert paired_share_interval(pairs(20, 0, 0)) == wilson_interval(20, 20)
    assert paired_share_interval(pairs(0, 1, 0)).low < 0.1, "one pair says next to nothing"


@pytest.mark.parametrize("agreement", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_intervals_over_pairs_hold_the_truth_as_often_as_they_say(
    agreement: float, share: float
) -> None:
    rng = np.random.default_rng(0)
    trials, n = 2000, 120
    first = rng.random((trials, n)) < share
    second = np.where(rng.random((trials, n)) < agreement, first, rng.random((trials, n)) < share)
    hits = 0
    for trial in range(trials):
        low, high = paired_share_interval(np.stack([first[trial], second[trial]], axis=1))
        hits += low <= share <= high
    # 95 % of 2,000 trials have a standard deviation of half a percentage point; shares of few
    # images jump, which moves the coverage of any interval by a point or two.
    assert hits / trials == pytest.approx(0.95, abs=0.02)


def test_no_pairs_have_no_share() -> None:
    with pytest.raises(UnmeasurableInput, match="no pairs"):
        paired_share_interval(np.empty((0, 2), dtype=bool))
