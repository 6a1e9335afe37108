"""Confidence intervals: which one belongs to which kind of number.

Means over a few seeds or many images get Student's t, shares of images Wilson's score interval,
smooth statistics of whole sets (the Frechet distance) the delete-a-group jackknife. Differences
of two estimates are bounded from their own intervals.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.special
from jaxtyping import Bool, Float

from replicalab_metrics.measures.inputs import UnmeasurableInput

LEVEL = 0.95


class Bounds(NamedTuple):
    """Lower and upper end of a two-sided interval at level ``LEVEL``."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A value and its interval."""

    value: float
    low: float
    high: float


def mean_interval(values: Float[np.ndarray, " n"]) -> Bounds | None:
    """Student-t interval of the mean; None for a single value, which has no spread."""
    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values, dtype=np.float64))
    standard_error = float(np.std(values, ddof=1, dtype=np.float64)) / np.sqrt(n)
    margin = _t_quantile(n - 1) * standard_error
    return Bounds(mean - margin, mean + margin)


def wilson_interval(successes: int, n: int) -> Bounds:
    """Score interval of a share, Wilson (1927): stays within [0, 1], honest at 0 and at n."""
    if not 0 <= successes <= n or n < 1:
        raise UnmeasurableInput(f"{successes} of {n} is not a share.")
    return _score_interval(successes / n, float(n))


def paired_share_interval(is_member: Bool[np.ndarray, "pair 2"]) -> Bounds:
    """Score interval of a share of items that come in pairs and are not independent.

    Wilson's at an effective sample size: so many independent items have a share of the variance
    that the means of the pairs say it has (Korn & Graubard 1998). At least the number of pairs, as
    if both of a pair always agreed; at most the number of items, so that pairs that disagree more
    often than chance make the interval wider than need be.
    """
    if not len(is_member):
        raise UnmeasurableInput("There are no pairs.")
    return _score_interval(float(is_member.mean()), _effective_items(is_member))


def _effective_items(is_member: Bool[np.ndarray, "pair 2"]) -> float:
    pairs, share = len(is_member), float(is_member.mean())
    if share in {0.0, 1.0} or pairs == 1:
        return float(pairs)
    of_one, of_means = share * (1 - share), float(is_member.mean(axis=1).var(ddof=1))
    if of_means <= of_one / 2:
        return 2.0 * pairs
    return max(float(pairs), pairs * of_one / of_means)


def _score_interval(share: float, n: float) -> Bounds:
    z = float(scipy.special.ndtri((1 + LEVEL) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    margin = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = 0.0 if share == 0 else float(centre - margin)
    high = 1.0 if share == 1 else float(centre + margin)
    return Bounds(low, high)


def jackknife_interval(value: float, leave_one_out: Sequence[float]) -> Bounds:
    """Interval of a smooth statistic from its values with each random group left out.

    Delete-a-group jackknife: with G groups the squared standard error is (G - 1) / G times the
    sum of squared deviations of the G values, and the interval is t with G - 1 degrees of freedom
    (Shao & Wu 1989; Kott 2001). Centred on ``value``: a bias of the statistic is not removed.

    Args:
        value: The statistic of all samples.
        leave_one_out: The statistic without group 1, 2, ..., G.
    """
    groups = len(leave_one_out)
    if groups < 2:
        raise UnmeasurableInput("A jackknife needs at least two groups.")
    spread = float(np.var(np.asarray(leave_one_out, dtype=np.float64)))
    margin = _t_quantile(groups - 1) * float(np.sqrt((groups - 1) * spread))
    return Bounds(value - margin, value + margin)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """``a - b`` with bounds from both intervals (MOVER, Zou & Donner 2008, eq. 3).

    Takes the two as independent; estimates that rise and fall together give too wide bounds.
    """
    value = a.value - b.value
    down = np.hypot(a.value - a.low, b.high - b.value)
    up = np.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, float(value - down), float(value + up))


def _t_quantile(degrees_of_freedom: int) -> float:
    return float(scipy.special.stdtrit(degrees_of_freedom, (1 + LEVEL) / 2))
