"""What the numbers of a study say for and against the parts of a claim."""

from collections.abc import Sequence
from dataclasses import dataclass

from replicalab.domain.measures import Measurement
from replicalab_metrics.figures.curves import Curve
from replicalab_metrics.figures.seeds import SeedRuns
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.intervals import Estimate, difference, mean_interval
from replicalab_metrics.measures.significance import (
    Tails,
    positive_estimate,
    positive_mean,
    rising_trend,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One tested part of a claim.

    Attributes:
        part: What the effect is, in words; it is positive where the claim holds.
        unit: Of the effect.
        n: How many seeds or images stand behind it, in words.
        effect: With its 95 % interval; None where there is none.
        tails: The test, its p-values *for* (greater) and *against* (less); None: no test can be.
        reason: Why no test can be; empty where there is one.
    """

    part: str
    unit: str
    n: str
    effect: Estimate | None
    tails: Tails | None
    reason: str = ""


def falling_accuracy(measurements: Sequence[Measurement], *, first: int = 0) -> Evidence:
    """Accuracy over the sets from ``first`` on."""
    runs = SeedRuns.of(measurements, first=first)
    return falling_within_seeds(runs, "fall of accuracy")


def falling_within_seeds(runs: SeedRuns, words: str) -> Evidence:
    """A number that falls with ``t_re``: a trend over three or more sets, a pair of two."""
    seeds = len(runs.values)
    if not seeds or len(runs.t_re) < 2:
        return Evidence(words, runs.unit, _seeds(seeds), None, None, _TOO_FEW_SETS)
    part = f"{words} from t_re {runs.t_re[0]} to {runs.t_re[-1]}"
    mean, bounds = float(runs.falls.mean()), mean_interval(runs.falls)
    effect = Estimate(mean, *bounds) if bounds else None
    n = f"{_seeds(seeds)} on {len(runs.t_re)} sets"
    try:
        tails = rising_trend(-runs.values) if len(runs.t_re) > 2 else positive_mean(runs.falls)
    except UnmeasurableInput as reason:
        return Evidence(part, runs.unit, n, effect, None, str(reason))
    return Evidence(part, runs.unit, n, effect, tails)


def change(curve: Curve, part: str, *, fall: bool = False) -> Evidence:
    """Last minus first value of a curve, or first minus last; taken as independent."""
    first, last = ends(curve)
    words = f"{part} from t_re {curve.t_re[0]} to {curve.t_re[-1]}"
    if len(curve.points) < 2:
        return _from_estimate(part, curve, None, _TOO_FEW_SETS)
    if first is None or last is None:
        return _from_estimate(words, curve, None, _NO_INTERVALS)
    return _from_estimate(words, curve, difference(*((first, last) if fall else (last, first))))


def excess_fall(larger: Curve, smaller: Curve, part: str) -> Evidence:
    """By how much the fall of one curve exceeds that of another."""
    falls = [change(curve, part, fall=True).effect for curve in (larger, smaller)]
    if falls[0] is None or falls[1] is None:
        return _from_estimate(part, larger, None, _NO_INTERVALS)
    return _from_estimate(part, larger, difference(falls[0], falls[1]))


def flat_end(curve: Curve, share: float) -> Evidence:
    """By how much the rise over the last third stays below ``share`` of the whole rise."""
    part = f"{100 * share:.0f} % of the whole rise, less the rise over the last third"
    late = late_start(curve.t_re)
    if late is None:
        return _from_estimate(part, curve, None, NO_LATE_SETS)
    (first, last), middle = ends(curve), _estimate(curve.points[curve.t_re.index(late)])
    if first is None or last is None or middle is None:
        return _from_estimate(part, curve, None, _NO_INTERVALS)
    # share (last - first) - (last - middle), each set counted once
    sets = difference(middle, _scaled(last, 1 - share))
    return _from_estimate(part, curve, difference(sets, _scaled(first, share)))


def late_start(steps: Sequence[int]) -> int | None:
    """The first ``t_re`` at or above two thirds of the last; None if that is the last itself.

    Two sets do not suffice: the first would be both start and middle.
    """
    start = next((step for step in steps if 3 * step >= 2 * steps[-1]), None)
    return None if start is None or start in (steps[0], steps[-1]) else start


NO_LATE_SETS = "There is no set between two thirds of the last t_re and the last."
_TOO_FEW_SETS = "A change needs two sets."
_NO_INTERVALS = "The values have no intervals."


def ends(curve: Curve) -> tuple[Estimate | None, Estimate | None]:
    """First and last value with their intervals."""
    return _estimate(curve.points[0]), _estimate(curve.points[-1])


def _from_estimate(part: str, curve: Curve, effect: Estimate | None, reason: str = "") -> Evidence:
    unit = curve.points[0].unit
    tails = positive_estimate(effect) if effect else None
    return Evidence(part, unit, f"{curve.sample_size} a set", effect, tails, reason)


def _estimate(measurement: Measurement) -> Estimate | None:
    interval = measurement.interval
    return Estimate(measurement.value, interval.low, interval.high) if interval else None


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    """``factor`` (0 or more) times an estimate."""
    return Estimate(*(factor * bound for bound in estimate))


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"
