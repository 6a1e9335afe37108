"""The claims of the papers that a study can speak to, as data, and how each fares.

Every claim has its rule, written before the numbers were known. It is *supported* or *not
supported* (the opposite of a part was shown) where the two-sided p, adjusted by Holm for the
number of claims tested, is at most 0.05; *undecided* where it is larger or no test can be: absence
of proof is not proof of absence. Where the study did not measure what the claim is about: *not
asked for*.

Yamaguchi (2024), PMLR 260:335-350, table 2 and its figures of FID, precision, recall, entropy,
Grad-CAM.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.curves import Curve, curve_of
from replicalab_metrics.figures.seeds import SeedRuns
from replicalab_metrics.measures.significance import holm
from replicalab_metrics.reports.evidence import (
    Evidence,
    change,
    excess_fall,
    falling_accuracy,
    falling_within_seeds,
    flat_end,
    late_start,
)

SIGNIFICANCE = 0.05
"""Chance, at most, that any claim is judged wrongly where no effect exists."""

SATURATION_SHARE = 0.2
"""A distance has saturated when the last third of the steps adds at most this share of its rise;
a straight line would add a third."""

Needed = tuple[MeasurementName, Reference | None]
Measured = Sequence[Measurement]

DISTANCE: Needed = (MeasurementName.FRECHET_DISTANCE, Reference.TRAIN)
PRECISION: Needed = (MeasurementName.PRECISION, Reference.TRAIN)
RECALL: Needed = (MeasurementName.RECALL, Reference.TRAIN)
ENTROPY: Needed = (MeasurementName.REAL_CLASSIFIER_ENTROPY, None)
SEEDS: Needed = (MeasurementName.SEED_ACCURACY, None)
ATTENTION: Needed = (MeasurementName.SEED_HEAT_MAP_CORRELATION, None)


@unique
class Verdict(StrEnum):
    """How far the numbers carry a claim."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    UNDECIDED = "undecided"
    NOT_ASKED_FOR = "not asked for"


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement about the sweep of ``t_re``.

    Attributes:
        name: For programs.
        rule: When it is supported, in words.
        figure: Slug of the figure behind it.
        needs: Without one of these it was not asked for.
        weigh: The parts it consists of; it holds where all of them do.
    """

    name: str
    statement: str
    rule: str
    figure: str
    needs: tuple[Needed, ...]
    weigh: Callable[[Measured], tuple[Evidence, ...]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a claim fares.

    Attributes:
        p: Two-sided; None where no test can be.
        adjusted_p: By Holm, for all claims of the study that were tested.
    """

    claim: Claim
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    p: float | None = None
    adjusted_p: float | None = None


def judge(measurements: Measured) -> list[Judgement]:
    """Every claim's judgement, in the order of ``CLAIMS``."""
    measured = {
        (each.name, each.reference)
        for each in measurements
        if each.t_re is not None and each.part is None
    }
    asked = {
        claim.name: claim.weigh(measurements)
        for claim in CLAIMS
        if all(need in measured for need in claim.needs)
    }
    tested = {name: _both_sides(parts) for name, parts in asked.items() if _is_tested(parts)}
    p_values = {name: min(1.0, 2 * min(sides)) for name, sides in tested.items()}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return [
        Judgement(
            claim,
            _verdict(adjusted.get(claim.name), tested.get(claim.name)),
            asked[claim.name],
            p_values.get(claim.name),
            adjusted.get(claim.name),
        )
        if claim.name in asked
        else Judgement(claim, Verdict.NOT_ASKED_FOR, ())
        for claim in CLAIMS
    ]


def _is_tested(parts: tuple[Evidence, ...]) -> bool:
    return all(part.tails is not None for part in parts)


def _both_sides(parts: tuple[Evidence, ...]) -> tuple[float, float]:
    """One-sided p for all parts together, and against any of them.

    For: the largest (intersection-union, Berger 1982). Against: Bonferroni's, the smallest times
    the number of parts.
    """
    tails = [part.tails for part in parts if part.tails is not None]
    against = len(tails) * min(each.less for each in tails)
    return max(each.greater for each in tails), min(1.0, against)


def _verdict(adjusted: float | None, sides: tuple[float, float] | None) -> Verdict:
    if adjusted is None or sides is None or adjusted > SIGNIFICANCE:
        return Verdict.UNDECIDED
    return Verdict.SUPPORTED if sides[0] < sides[1] else Verdict.NOT_SUPPORTED


def _curve(measurements: Measured, need: Needed) -> Curve:
    curve = curve_of(measurements, *need)
    if curve is None:
        raise LookupError(f"{need[0]} is needed and was not measured.")
    return curve


def _accuracy_falls(measurements: Measured) -> tuple[Evidence, ...]:
    return (falling_accuracy(measurements),)


def _distance_rises(measurements: Measured) -> tuple[Evidence, ...]:
    return (change(_curve(measurements, DISTANCE), "rise of the Fréchet distance"),)


def _distance_saturates(measurements: Measured) -> tuple[Evidence, ...]:
    flat = flat_end(_curve(measurements, DISTANCE), SATURATION_SHARE)
    return (*_distance_rises(measurements), flat)


def _distance_misses_the_loss(measurements: Measured) -> tuple[Evidence, ...]:
    steps = _curve(measurements, DISTANCE).t_re
    late = falling_accuracy(measurements, first=late_start(steps) or steps[-1])
    return (*_distance_saturates(measurements), late)


def _recall_falls_further(measurements: Measured) -> tuple[Evidence, ...]:
    recall, precision = _curve(measurements, RECALL), _curve(measurements, PRECISION)
    return (
        change(recall, "fall of recall", fall=True),
        excess_fall(recall, precision, "fall of recall, less the fall of precision"),
    )


def _entropy_falls(measurements: Measured) -> tuple[Evidence, ...]:
    return (change(_curve(measurements, ENTROPY), "fall of entropy", fall=True),)


def _attention_drifts(measurements: Measured) -> tuple[Evidence, ...]:
    # Without the real set: the agreement of two real-trained models would stand in two blocks.
    runs = SeedRuns.of(measurements, ATTENTION[0], first=1)
    return (falling_within_seeds(runs, "fall of the heat maps' correlation"),)


_FLAT_RULE = (
    "The distance at the last t_re exceeds that at the first, and from the first t_re at or above "
    f"two thirds of the last, at most {100 * SATURATION_SHARE:.0f} % of that rise is added"
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "accuracy-falls",
        "Classifiers trained on reconstructions lose accuracy on real images as t_re rises.",
        "Accuracy falls with t_re within training seeds: Page's trend test; of two sets, a "
        "sign-flip test of the seeds' differences.",
        "accuracy",
        (SEEDS,),
        _accuracy_falls,
    ),
    Claim(
        "distance-rises",
        "The Fréchet distance to the training set rises with t_re.",
        "The distance at the last t_re exceeds that at the first.",
        "distances",
        (DISTANCE,),
        _distance_rises,
    ),
    Claim(
        "distance-saturates",
        "The Fréchet distance saturates: the last third of the steps hardly adds to it.",
        f"{_FLAT_RULE}.",
        "distances",
        (DISTANCE,),
        _distance_saturates,
    ),
    Claim(
        "distance-misses-the-loss",
        "Where the Fréchet distance has become flat, accuracy still falls: the distance alone "
        "misses the loss.",
        f"{_FLAT_RULE}; and from that t_re on accuracy falls within training seeds.",
        "accuracy",
        (DISTANCE, SEEDS),
        _distance_misses_the_loss,
    ),
    Claim(
        "recall-falls-further",
        "Recall falls, and further than precision: diversity is lost before fidelity.",
        "Against the training set, recall falls from the first to the last t_re, and its fall "
        "exceeds that of precision.",
        "distances",
        (PRECISION, RECALL),
        _recall_falls_further,
    ),
    Claim(
        "entropy-falls",
        "The classifier trained on real images grows surer of reconstructions as t_re rises.",
        "Its mean output entropy at the last t_re is below that at the first.",
        "real-classifier",
        (ENTROPY,),
        _entropy_falls,
    ),
    Claim(
        "attention-drifts",
        "Classifiers trained on reconstructions look at other places of real images than "
        "real-trained ones, the more so as t_re rises.",
        "The correlation of their Grad-CAM heat maps falls with t_re (above 0) within training "
        "seeds: Page's trend test; of two sets, a sign-flip test of the seeds' differences.",
        "grad-cam",
        (ATTENTION,),
        _attention_drifts,
    ),
)
