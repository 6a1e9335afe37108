"""Tests of whether values fall or rise, in which training seeds are the replicates.

Every test gives the p-values of both directions, so that a statement can be refuted as well as
confirmed. Training runs of one seed are a block: what they share (seed, test images) cancels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # loads stats, half of all that this service imports, when it is first used
from jaxtyping import Float, Int

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.intervals import LEVEL, Estimate

EXACT_FLIPS = 2**15
"""Of up to 15 differences every sign flip is counted; of more, so many are drawn."""

ROUNDING = 1e-12
"""Means of the same values in another order differ by less than this share of the largest."""

FLIP_SEED = 0
"""Of the drawn flips: equal values give an equal p."""


class Tails(NamedTuple):
    """The outcome of a test.

    Attributes:
        test: Name of the test, and how its p was found.
        symbol: What the statistic is called.
        statistic: Its value.
        greater: One-sided p, in (0, 1], of the effect being positive.
        less: One-sided p of the effect being negative.
        least: Smallest one-sided p that so many values can reach; 0 where nothing bounds it.
    """

    test: str
    symbol: str
    statistic: float
    greater: float
    less: float
    least: float

    @property
    def two_sided(self) -> float:
        """The p of an effect in either direction."""
        return min(1.0, 2 * min(self.greater, self.less))


def rising_trend(values: Float[np.ndarray, "block level"]) -> Tails:
    """Page's L: whether values rise with the level in every block (Page 1963, JASA 58:216-230).

    Levels are ranked within their block and the ranks weighed by the expected order, so that
    blocks may differ in height and only order counts. Without effect every order of a block is
    equally likely. Tied values are ranked against the trend, for either direction, so that ties
    can only make p larger; shared mean ranks would not promise that. p is exact up to the sizes
    for which SciPy counts, else from the normal approximation.

    Raises:
        UnmeasurableInput: Fewer than two blocks or three levels, or values that are not finite.
    """
    blocks, levels = values.shape
    if blocks < 2 or levels < 3:
        raise UnmeasurableInput(
            f"Page's test needs two seeds and three sets, not {blocks} and {levels}."
        )
    check_finite(values, "values")
    rising, falling = (
        scipy.stats.page_trend_test(_ranks_against(side), ranked=True) for side in (values, -values)
    )
    orders = float(scipy.special.factorial(levels))
    least = orders**-blocks if rising.method == "exact" else 0.0
    return Tails(
        f"Page's trend test ({rising.method})",
        "L",
        float(rising.statistic),
        min(1.0, float(rising.pvalue)),  # a sum of shares, which rounding may carry beyond 1
        min(1.0, float(falling.pvalue)),
        least,
    )


def positive_mean(differences: Float[np.ndarray, " pair"]) -> Tails:
    """Fisher's sign-flip test of paired differences (The Design of Experiments, 1935, section 21).

    Without effect a difference is as likely as its negative, whatever its distribution: no
    normality is assumed, which three or five seeds could not show. The price is that n pairs
    cannot give a p below 2^-n; a paired t-test would, on the strength of the assumption alone.

    Raises:
        UnmeasurableInput: Fewer than two differences, or values that are not finite.
    """
    n = len(differences)
    if n < 2:
        raise UnmeasurableInput(f"A paired test needs two seeds, not {n}.")
    check_finite(differences, "differences")
    mean, flipped = float(np.mean(differences, dtype=np.float64)), _flipped_means(differences)
    is_exact = len(flipped) == 2**n
    drawn = 0 if is_exact else 1  # what was observed counts among what was drawn
    rounding = ROUNDING * float(np.abs(differences).max())
    greater, less = (
        (drawn + int(np.count_nonzero(is_beyond))) / (drawn + len(flipped))
        for is_beyond in (flipped >= mean - rounding, flipped <= mean + rounding)
    )
    return Tails(
        f"sign-flip test ({'exact' if is_exact else f'{EXACT_FLIPS:,} flips drawn'})",
        "mean difference",
        mean,
        greater,
        less,
        1 / (drawn + len(flipped)),
    )


def positive_estimate(estimate: Estimate) -> Tails:
    """The p of an interval at level ``LEVEL``, as if the estimate were normal on either side.

    Altman & Bland (2011), BMJ 343:d2304. The arm towards zero counts, so that the interval lies
    above zero exactly where ``2 * greater < 1 - LEVEL``.
    """
    value, low, high = estimate
    if not np.isfinite(estimate).all() or not low <= value <= high:
        raise UnmeasurableInput(f"{value} does not lie between {low} and {high}.")
    arm = value - low if value > 0 else high - value
    quantile = float(scipy.special.ndtri((1 + LEVEL) / 2))
    score = 0.0 if value == 0 else float(np.sign(value)) * np.inf
    if arm > 0:
        score = value / arm * quantile
    return Tails(
        "z test from the intervals",
        "z",
        score,
        float(scipy.special.ndtr(-score)),
        float(scipy.special.ndtr(score)),
        0.0,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in their order (Holm 1979, Scand. J. Stat. 6:65-70).

    Rejecting what is at most alpha errs at all with at most probability alpha, however the tests
    depend on one another.

    Raises:
        UnmeasurableInput: A value outside [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise UnmeasurableInput("p-values lie in 0 to 1.")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _ranks_against(values: Float[np.ndarray, "block level"]) -> Int[np.ndarray, "block level"]:
    """Ranks within blocks from 1; of tied values the later level gets the lower rank."""
    turned = scipy.stats.rankdata(values[:, ::-1], method="ordinal", axis=1)
    ranks: Int[np.ndarray, "block level"] = turned[:, ::-1]
    return ranks


def _flipped_means(differences: Float[np.ndarray, " pair"]) -> Float[np.ndarray, " flip"]:
    """Means under every sign flip, or under many of them."""
    result = scipy.stats.permutation_test(
        (differences.astype(np.float64),),
        np.mean,
        permutation_type="samples",
        n_resamples=EXACT_FLIPS,
        vectorized=True,
        rng=np.random.default_rng(FLIP_SEED),
    )
    means: Float[np.ndarray, " flip"] = result.null_distribution
    return means
