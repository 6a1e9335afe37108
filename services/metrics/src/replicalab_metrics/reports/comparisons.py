"""Accuracy between single sets, by paired tests over training seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from replicalab.domain.measures import Measurement
from replicalab_metrics.figures.seeds import SeedRuns
from replicalab_metrics.measures.intervals import LEVEL, Estimate, mean_interval
from replicalab_metrics.measures.significance import holm, positive_mean


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets, and by how much accuracy falls from the first to the second.

    Attributes:
        t_re: Of both sets, the lower one first.
        fall: Share, mean over seeds, with its Student interval.
        seeds: How many were trained on every set.
        test: Its name.
        p: Two-sided.
        adjusted_p: By Holm, for all comparisons of the study.
        least_p: Smallest two-sided p that so many seeds can reach, not adjusted.
    """

    t_re: tuple[int, int]
    fall: Estimate
    seeds: int
    test: str
    p: float
    adjusted_p: float
    least_p: float


def comparisons(measurements: Sequence[Measurement]) -> list[Comparison]:
    """Every set with the lowest ``t_re`` and with its neighbour; none with a single seed.

    Not every pair: Holm's price rises with their number, and these are the ones asked about.
    """
    runs = SeedRuns.of(measurements)
    levels = range(len(runs.t_re))
    pairs = sorted({(0, high) for high in levels[1:]} | {(high - 1, high) for high in levels[1:]})
    if len(runs.values) < 2:
        return []
    falls = [runs.values[:, low] - runs.values[:, high] for low, high in pairs]
    tests = [positive_mean(each) for each in falls]
    p_values = [test.two_sided for test in tests]
    return [
        Comparison(
            (runs.t_re[low], runs.t_re[high]),
            _mean(fall),
            len(fall),
            test.test,
            p,
            adjusted,
            2 * test.least,
        )
        for (low, high), fall, test, p, adjusted in zip(
            pairs, falls, tests, p_values, holm(p_values), strict=True
        )
    ]


def comparisons_document(found: Sequence[Comparison]) -> list[dict[str, JsonValue]]:
    """Every comparison as JSON."""
    return [
        {
            "t_re": list(each.t_re),
            "fall": {**each.fall._asdict(), "level": LEVEL},
            "n": each.seeds,
            "n_unit": "seeds",
            "test": each.test,
            "p": each.p,
            "p_adjusted": each.adjusted_p,
            "adjustment": "Holm over the comparisons",
            "least_p": each.least_p,
        }
        for each in found
    ]


def _mean(falls: np.ndarray) -> Estimate:
    mean = float(falls.mean())
    low, high = mean_interval(falls) or (mean, mean)
    return Estimate(mean, low, high)
