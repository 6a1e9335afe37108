"""Accuracy between single sets, by paired tests over seeds, and over seeds and test images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from replicalab.domain.measures import Measurement
from replicalab_metrics.figures.seeds import SeedRuns
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.intervals import LEVEL, Estimate, mean_interval
from replicalab_metrics.measures.seeds_and_images import METHOD, CrossedMean, crossed_mean
from replicalab_metrics.measures.significance import holm, positive_mean
from replicalab_metrics.reports.answers import RightAnswers

Pair = tuple[int, int]
"""Places of two sets, or their ``t_re``, the lower one first."""


@dataclass(frozen=True, slots=True)
class FallOverImages:
    """By how much accuracy falls, where test images count as a sample as seeds do.

    Attributes:
        fall: Share, with its standard error, interval, p and sample sizes.
        adjusted_p: By Holm, for all comparisons of the study.
    """

    fall: CrossedMean
    adjusted_p: float


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
        over_images: The same over seeds and images; None where there are too few of either, or
            the answers were not given.
    """

    t_re: Pair
    fall: Estimate
    seeds: int
    test: str
    p: float
    adjusted_p: float
    least_p: float
    over_images: FallOverImages | None


def comparisons(
    measurements: Sequence[Measurement], answers: RightAnswers | None
) -> list[Comparison]:
    """Every set with the lowest ``t_re`` and with its neighbour; none with a single seed.

    Not every pair: Holm's price rises with their number, and these are the ones asked about.

    Args:
        measurements: Of the study.
        answers: Image by image; None where only accuracies are known.
    """
    runs = SeedRuns.of(measurements)
    levels = range(len(runs.t_re))
    pairs = sorted({(0, high) for high in levels[1:]} | {(high - 1, high) for high in levels[1:]})
    if len(runs.values) < 2:
        return []
    over_images = _falls_over_images([_steps(runs, pair) for pair in pairs], answers)
    falls = [runs.values[:, low] - runs.values[:, high] for low, high in pairs]
    tests = [positive_mean(each) for each in falls]
    p_values = [test.two_sided for test in tests]
    return [
        Comparison(
            _steps(runs, pair),
            _mean(fall),
            len(fall),
            test.test,
            p,
            adjusted,
            2 * test.least,
            of_images,
        )
        for pair, fall, test, p, adjusted, of_images in zip(
            pairs, falls, tests, p_values, holm(p_values), over_images, strict=True
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
            "over_seeds_and_images": _over_images_document(each.over_images),
        }
        for each in found
    ]


def _over_images_document(found: FallOverImages | None) -> JsonValue:
    if found is None:
        return None
    fall = found.fall
    return {
        "fall": {**fall.estimate._asdict(), "level": LEVEL},
        "n_seeds": fall.seeds,
        "n_images": fall.images,
        "method": METHOD,
        "standard_error": fall.standard_error,
        "degrees_of_freedom": fall.degrees_of_freedom,
        "p": fall.p,
        "p_adjusted": found.adjusted_p,
        "adjustment": "Holm over the comparisons",
    }


def _steps(runs: SeedRuns, pair: Pair) -> Pair:
    return runs.t_re[pair[0]], runs.t_re[pair[1]]


def _falls_over_images(
    pairs: Sequence[Pair], answers: RightAnswers | None
) -> list[FallOverImages | None]:
    if answers is None:
        return [None] * len(pairs)
    try:
        falls = [crossed_mean(answers.falls(*pair)) for pair in pairs]
    except UnmeasurableInput:  # too few seeds: so for every pair, since all share them
        return [None] * len(pairs)
    adjusted = holm([fall.p for fall in falls])
    return [FallOverImages(*each) for each in zip(falls, adjusted, strict=True)]


def _mean(falls: np.ndarray) -> Estimate:
    mean = float(falls.mean())
    low, high = mean_interval(falls) or (mean, mean)
    return Estimate(mean, low, high)
