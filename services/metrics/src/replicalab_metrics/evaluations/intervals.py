"""Intervals in the form measurements carry."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from replicalab.domain.measures import Interval
from replicalab_metrics.measures.groups import balanced_groups
from replicalab_metrics.measures.intervals import (
    LEVEL,
    jackknife_interval,
    mean_interval,
    paired_share_interval,
    wilson_interval,
)

JACKKNIFE_GROUPS = 20
GROUPS_SEED = 0

Kept = npt.NDArray[np.bool_]


def share_interval(is_member: npt.NDArray[np.bool_], method: str) -> Interval:
    """Wilson's interval of the share of ``is_member`` that is true."""
    low, high = wilson_interval(int(is_member.sum()), len(is_member))
    return Interval(low=low, high=high, level=LEVEL, method=method)


def interval_over_pairs(is_member: npt.NDArray[np.bool_], method: str) -> Interval:
    """The interval of the share of ``is_member``, (pair, 2), that is true."""
    low, high = paired_share_interval(is_member)
    return Interval(low=low, high=high, level=LEVEL, method=method)


def interval_of_mean(
    values: npt.NDArray[np.float64],
    method: str,
    *,
    at_least: float = -np.inf,
    at_most: float = np.inf,
) -> Interval | None:
    """Student's t interval of a mean, cut to what it can be; None for a single value."""
    bounds = mean_interval(values)
    if bounds is None:
        return None
    return Interval(
        low=max(bounds.low, at_least),
        high=min(bounds.high, at_most),
        level=LEVEL,
        method=method,
    )


def jackknifed(
    value: float,
    labels: npt.NDArray[np.int64],
    statistic: Callable[[Kept], float],
    images: str,
    *,
    within: tuple[float, float],
) -> Interval | None:
    """Jackknife interval of a statistic of one set, over groups that share every class evenly.

    Args:
        value: The statistic of the whole set.
        labels: Class of every image.
        statistic: The statistic of the images that are kept.
        images: What the images are, in words.
        within: What the statistic can be; the interval is cut to it.

    Returns:
        None for a set too small to be cut into groups of two.
    """
    if len(labels) < 2 * JACKKNIFE_GROUPS:
        return None
    groups = balanced_groups(labels, JACKKNIFE_GROUPS, GROUPS_SEED)
    bounds = jackknife_interval(
        value, [statistic(groups != group) for group in range(JACKKNIFE_GROUPS)]
    )
    return Interval(
        low=max(bounds.low, within[0]),
        high=min(bounds.high, within[1]),
        level=LEVEL,
        method=f"jackknife over {JACKKNIFE_GROUPS} groups of {images}",
    )
