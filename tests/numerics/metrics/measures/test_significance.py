"""Tests of trends and pairs against published examples, closed forms and full enumeration."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.intervals import Estimate
from replicalab_metrics.measures.significance import (
    holm,
    positive_estimate,
    positive_mean,
    rising_trend,
)

DIFFERENCES = arrays(np.float64, st.integers(2, 8), elements=st.integers(-50, 50).map(float))
P_VALUES = st.lists(st.floats(0, 1), max_size=8)
SHAPES = st.tuples(st.integers(2, 5), st.integers(3, 5))
BLOCKS = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(0, 9)))


def page_statistics(rows: Iterable[Sequence[float]]) -> np.ndarray:
    """L for every way of ordering every row."""
    rows_orders = [
        [np.dot(order, np.arange(1, len(row) + 1)) for order in itertools.permutations(row)]
        for row in rows
    ]
    return np.array([sum(chosen) for chosen in itertools.product(*rows_orders)])


@pytest.mark.parametrize(("level", "critical"), [(0.05, 84), (0.01, 87), (0.001, 89)])
def test_page_agrees_with_his_critical_values(level: float, critical: int) -> None:
    # Page (1963), table 2: four levels, three blocks.
    orders = list(itertools.permutations((1.0, 2.0, 3.0, 4.0)))
    found = {
        tails.statistic: tails.greater
        for blocks in itertools.combinations_with_replacement(orders[:9], 3)
        for tails in [rising_trend(np.array(blocks))]
    }
    assert found[critical] <= level < found[critical - 1]


def test_page_agrees_with_full_enumeration() -> None:
    ranks = np.array([[1, 2, 3, 4], [2, 1, 3, 4], [1, 3, 2, 4]], dtype=np.float64)
    tails, sums = rising_trend(ranks), page_statistics(ranks)
    assert tails.statistic == 88
    assert tails.greater == pytest.approx(np.mean(sums >= 88))
    assert tails.less == pytest.approx(np.mean(sums <= 88))
    assert tails.least == pytest.approx(24**-3)


def test_ties_never_make_page_bolder_than_the_distribution_of_the_ties_themselves() -> None:
    patterns = {tuple(scipy.stats.rankdata(row)) for row in itertools.product(range(3), repeat=3)}
    for rows in itertools.combinations_with_replacement(sorted(patterns), 2):
        observed = sum(np.dot(row, (1, 2, 3)) for row in rows)
        exact = np.mean(page_statistics(rows) >= observed - 1e-9)
        assert rising_trend(np.array(rows)).greater >= exact - 1e-12


def test_values_that_are_all_alike_show_nothing() -> None:
    tails = rising_trend(np.full((3, 4), 0.8))
    assert (tails.greater, tails.less) == pytest.approx((1.0, 1.0))


@given(values=BLOCKS, height=st.integers(-5, 5))
def test_blocks_may_differ_in_height(values: np.ndarray, height: int) -> None:
    moved = values + height * np.arange(len(values))[:, None]
    assert rising_trend(moved) == rising_trend(values)
    assert rising_trend(values[::-1]) == rising_trend(values)


@given(values=BLOCKS)
def test_turning_the_levels_round_swaps_the_sides_of_a_trend(values: np.ndarray) -> None:
    tails, turned = rising_trend(values), rising_trend(values[:, ::-1])
    assert turned.greater == pytest.approx(tails.less)
    assert turned.less == pytest.approx(tails.greater)


def test_many_blocks_and_levels_say_that_p_is_approximate() -> None:
    tails = rising_trend(np.tile(np.arange(12.0), (20, 1)))
    assert tails.test == "Page's trend test (asymptotic)"
    assert tails.greater < 1e-10


def test_sign_flips_agree_with_fishers_own_count() -> None:
    # Darwin's maize (Fisher 1935, section 21): 863 of 32,768 sums reach the observed 314.
    darwin = np.array(
        [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=np.float64
    )
    tails = positive_mean(darwin)
    assert tails.greater == 863 / 2**15
    assert tails.statistic == pytest.approx(314 / 15)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_smallest_p_of_n_pairs_is_one_of_all_flips(n: int) -> None:
    tails = positive_mean(np.arange(1.0, n + 1))
    assert tails.greater == tails.least == 2.0**-n
    assert tails.less == 1.0


@given(differences=DIFFERENCES, scale=st.sampled_from([0.5, 2.0, 8.0]))
def test_sign_flips_know_neither_order_nor_scale(differences: np.ndarray, scale: float) -> None:
    tails = positive_mean(differences)
    turned = positive_mean(scale * differences[::-1])
    assert (turned.greater, turned.less) == (tails.greater, tails.less)
    opposite = positive_mean(-differences)
    assert (opposite.greater, opposite.less) == (tails.less, tails.greater)


@given(differences=DIFFERENCES)
def test_sign_flips_are_scipys(differences: np.ndarray) -> None:
    tails = positive_mean(differences)
    for alternative, p in (("greater", tails.greater), ("less", tails.less)):
        peer = scipy.stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", alternative=alternative
        )
        assert p == pytest.approx(peer.pvalue)


@given(differences=DIFFERENCES, more=st.integers(0, 20))
def test_a_larger_effect_never_has_a_larger_p(differences: np.ndarray, more: int) -> None:
    assert positive_mean(differences + more).greater <= positive_mean(differences).greater


def test_more_pairs_than_can_be_counted_are_drawn_and_reproducible() -> None:
    differences = np.random.default_rng(0).standard_normal(20) + 0.3
    tails = positive_mean(differences)
    assert tails == positive_mean(differences)
    assert "32,768 flips drawn" in tails.test
    normal = scipy.stats.ttest_1samp(differences, 0, alternative="greater").pvalue
    assert tails.greater == pytest.approx(normal, rel=0.2)


def test_the_sign_flip_test_errs_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1).standard_t(2, (400, 6))
    rejected = np.mean([positive_mean(each).greater <= 2 / 64 for each in draws])
    # Exact under any symmetric distribution: 2 of 64; three standard errors of 400 draws.
    assert abs(rejected - 2 / 64) < 3 * np.sqrt(2 / 64 * 62 / 64 / 400)


def test_an_interval_that_ends_at_zero_has_half_of_one_minus_its_level() -> None:
    tails = positive_estimate(Estimate(1.959963984540054, 0.0, 3.919927969080108))
    assert tails.greater == pytest.approx(0.025)
    assert tails.less == pytest.approx(0.975)


@given(value=st.floats(-9, 9), down=st.floats(0.01, 5), up=st.floats(0.01, 5))
def test_an_interval_leaves_zero_out_exactly_where_p_is_small(
    value: float, down: float, up: float
) -> None:
    tails = positive_estimate(Estimate(value, value - down, value + up))
    if abs(value - down) > 1e-6 and abs(value + up) > 1e-6:
        assert (value - down > 0) == (tails.greater < 0.025)
        assert (value + up < 0) == (tails.less < 0.025)
    assert tails.greater + tails.less == pytest.approx(1)


def test_a_value_without_spread_is_certain_unless_it_is_zero() -> None:
    assert positive_estimate(Estimate(1.0, 1.0, 1.0)).greater == 0
    assert positive_estimate(Estimate(0.0, 0.0, 0.0)).greater == 0.5
    assert positive_estimate(Estimate(-1.0, -1.0, -1.0)).less == 0


def test_holm_by_hand() -> None:
    # 4 x 0.005; 3 x 0.01; 2 x 0.03; and 0.04 may not be less than what stands before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(p_values=P_VALUES)
def test_holm_lies_between_no_correction_and_bonferronis(p_values: list[float]) -> None:
    for plain, adjusted in zip(p_values, holm(p_values), strict=True):
        assert plain <= adjusted <= min(1.0, len(p_values) * plain) + 1e-12


@given(p_values=P_VALUES)
def test_holm_keeps_the_order_and_knows_no_places(p_values: list[float]) -> None:
    assert holm(p_values[::-1]) == holm(p_values)[::-1]
    pairs = sorted(zip(p_values, holm(p_values), strict=True))
    assert [adjusted for _, adjusted in pairs] == sorted(holm(p_values))


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(UnmeasurableInput, match="two seeds and three sets, not 1 and 3"):
        rising_trend(np.zeros((1, 3)))
    with pytest.raises(UnmeasurableInput, match="two seeds and three sets, not 3 and 2"):
        rising_trend(np.zeros((3, 2)))
    with pytest.raises(UnmeasurableInput, match="two seeds, not 1"):
        positive_mean(np.zeros(1))
    with pytest.raises(UnmeasurableInput, match="not finite"):
        positive_mean(np.array([1.0, np.nan]))
    with pytest.raises(UnmeasurableInput, match="does not lie between"):
        positive_estimate(Estimate(2.0, 0.0, 1.0))
    with pytest.raises(UnmeasurableInput, match="0 to 1"):
        holm([0.5, 1.5])
