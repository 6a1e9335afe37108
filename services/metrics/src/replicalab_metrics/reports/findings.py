"""What the numbers show, by rules written down before the numbers were known.

A statement about the whole sweep compares its first and last ``t_re``. It is *supported* where
the 95 % interval of the difference lies on its side of the line, *not supported* where it lies on
the other, else *undecided*: absence of proof is not proof of absence.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.curves import Curve, curve_of
from replicalab_metrics.measures.intervals import Estimate, difference
from replicalab_metrics.reports.wording import format_with_interval

SATURATION_SHARE = 0.2
"""A distance has saturated when the last third of the steps adds at most this share of its rise;
a straight line would add a third."""

CONFIDENT_SHARE = 0.1
"""A classifier is confident while its mean entropy is below this share of a pure guess."""


@unique
class Verdict(StrEnum):
    """How far the numbers carry a statement."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement, whether the numbers support it, the rule, and the numbers themselves."""

    statement: str
    verdict: Verdict
    rule: str
    evidence: str


def findings(measurements: Sequence[Measurement]) -> list[Finding]:
    """Every statement the measurements allow to judge."""
    candidates = (
        _accuracy_falls(measurements),
        _distance_rises(measurements),
        _distance_saturates(measurements),
        _recall_falls_further(measurements),
        _classifier_stays_confident(measurements),
    )
    return [finding for finding in candidates if finding is not None]


def _accuracy_falls(measurements: Sequence[Measurement]) -> Finding | None:
    curve = curve_of(measurements, MeasurementName.ACCURACY)
    if curve is None:
        return None
    return Finding(
        "Classifiers trained on reconstructions lose accuracy on real images.",
        _above(_change(curve, fall=True), 0),
        "Accuracy at the first t_re exceeds that at the last.",
        _ends(curve),
    )


def _distance_rises(measurements: Sequence[Measurement]) -> Finding | None:
    curve = curve_of(measurements, MeasurementName.FRECHET_DISTANCE, Reference.TRAIN)
    if curve is None:
        return None
    return Finding(
        "The Fréchet distance to the training set rises with t_re.",
        _above(_change(curve), 0),
        "The distance at the last t_re exceeds that at the first.",
        _ends(curve),
    )


def _distance_saturates(measurements: Sequence[Measurement]) -> Finding | None:
    curve = curve_of(measurements, MeasurementName.FRECHET_DISTANCE, Reference.TRAIN)
    if curve is None or len(curve.points) < 3:
        return None
    last = curve.points[-1]
    steps = curve.t_re
    two_thirds = next(
        point for step, point in zip(steps, curve.points, strict=True) if 3 * step >= 2 * steps[-1]
    )
    if two_thirds is last:
        return None
    rise, remaining = _change(curve), _difference(last, two_thirds)
    has_risen = _above(rise, 0)
    allowed = SATURATION_SHARE * rise.value if rise else 0.0
    verdict = (
        _opposite(_above(remaining, allowed))
        if has_risen is Verdict.SUPPORTED
        else Verdict.UNDECIDED
    )
    return Finding(
        "The Fréchet distance saturates: the last third of the steps hardly adds to it.",
        verdict,
        f"From the first t_re at or above two thirds of the last, at most "
        f"{100 * SATURATION_SHARE:.0f} % of the whole rise is added.",
        f"t_re {two_thirds.t_re}: {format_with_interval(two_thirds)}; "
        f"t_re {last.t_re}: {format_with_interval(last)}.",
    )


def _recall_falls_further(measurements: Sequence[Measurement]) -> Finding | None:
    precision = curve_of(measurements, MeasurementName.PRECISION, Reference.TRAIN)
    recall = curve_of(measurements, MeasurementName.RECALL, Reference.TRAIN)
    if precision is None or recall is None:
        return None
    recall_fall, precision_fall = _change(recall, fall=True), _change(precision, fall=True)
    excess = difference(recall_fall, precision_fall) if recall_fall and precision_fall else None
    return Finding(
        "Recall falls, and further than precision: diversity is lost before fidelity.",
        _weakest([_above(recall_fall, 0), _above(excess, 0)]),
        "Against the training set, recall falls from the first to the last t_re, and its fall "
        "exceeds that of precision.",
        f"Recall {_ends(recall)} Precision {_ends(precision)}",
    )


def _classifier_stays_confident(measurements: Sequence[Measurement]) -> Finding | None:
    curve = curve_of(measurements, MeasurementName.REAL_CLASSIFIER_ENTROPY)
    if curve is None:
        return None
    last = curve.points[-1]
    guess = math.log(float(str(last.recipe["classes"])))
    held_out = curve_of(measurements, MeasurementName.HELD_OUT_ENTROPY, Reference.TEST)
    comparison = (
        f" Held-out real images: {format_with_interval(held_out.points[0])}." if held_out else ""
    )
    return Finding(
        "The classifier trained on real images stays confident about reconstructions.",
        _opposite(_above(_estimate(last), CONFIDENT_SHARE * guess)),
        f"Its mean output entropy at the last t_re is below {100 * CONFIDENT_SHARE:.0f} % of a "
        f"pure guess ({CONFIDENT_SHARE * guess:.3f} of {guess:.3f} nats).",
        f"Entropy {_ends(curve)}{comparison}",
    )


def _estimate(measurement: Measurement) -> Estimate | None:
    interval = measurement.interval
    return Estimate(measurement.value, interval.low, interval.high) if interval else None


def _difference(a: Measurement, b: Measurement) -> Estimate | None:
    estimates = _estimate(a), _estimate(b)
    return difference(estimates[0], estimates[1]) if estimates[0] and estimates[1] else None


def _change(curve: Curve, *, fall: bool = False) -> Estimate | None:
    """Last minus first, or first minus last; None for a single point or missing intervals."""
    first, last = curve.points[0], curve.points[-1]
    if first is last:
        return None
    return _difference(first, last) if fall else _difference(last, first)


def _above(estimate: Estimate | None, line: float) -> Verdict:
    if estimate is None or estimate.low <= line <= estimate.high:
        return Verdict.UNDECIDED
    return Verdict.SUPPORTED if estimate.low > line else Verdict.NOT_SUPPORTED


def _opposite(verdict: Verdict) -> Verdict:
    swapped = {
        Verdict.SUPPORTED: Verdict.NOT_SUPPORTED,
        Verdict.NOT_SUPPORTED: Verdict.SUPPORTED,
        Verdict.UNDECIDED: Verdict.UNDECIDED,
    }
    return swapped[verdict]


def _weakest(verdicts: Iterable[Verdict]) -> Verdict:
    """A statement of several parts is no stronger than its weakest."""
    strength = [Verdict.NOT_SUPPORTED, Verdict.UNDECIDED, Verdict.SUPPORTED]
    return min(verdicts, key=strength.index)


def _ends(curve: Curve) -> str:
    first, last = curve.points[0], curve.points[-1]
    ends = [first] if first is last else [first, last]
    return "; ".join(f"t_re {end.t_re}: {format_with_interval(end)}" for end in ends) + "."
