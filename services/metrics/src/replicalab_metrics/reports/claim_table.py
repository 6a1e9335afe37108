"""The judged claims in words, for the page, and as plain data, for programs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from replicalab_metrics.measures.intervals import LEVEL, Estimate
from replicalab_metrics.measures.significance import Tails
from replicalab_metrics.reports.claims import SIGNIFICANCE, Judgement, Verdict
from replicalab_metrics.reports.comparisons import Comparison, FallOverImages
from replicalab_metrics.reports.evidence import Evidence
from replicalab_metrics.reports.wording import format_unit, format_value

SMALLEST_SHOWN = 0.0001


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim as text.

    Attributes:
        evidence: A sentence or two for each part.
        p: Adjusted and plain; empty where there is none.
        figure: Slug and number of the figure behind it; None where the page has none.
    """

    statement: str
    rule: str
    verdict: str
    evidence: list[str]
    adjusted_p: str
    p: str
    figure: tuple[str, int] | None


def claim_rows(judgements: Sequence[Judgement], figures: Sequence[str]) -> list[ClaimRow]:
    """Rows for every claim; none where nothing was asked for.

    Args:
        judgements: Of all claims.
        figures: Slugs of the page's figures, in their order.
    """
    if all(each.verdict is Verdict.NOT_ASKED_FOR for each in judgements):
        return []
    numbers = {slug: number for number, slug in enumerate(figures, start=1)}
    return [_row(judgement, numbers) for judgement in judgements]


@dataclass(frozen=True, slots=True)
class OverImagesCells:
    """What two sets show where test images are a sample too, as text.

    Attributes:
        interval: Of the fall.
        sizes: How many seeds and images.
    """

    interval: str = ""
    sizes: str = ""
    adjusted_p: str = ""
    p: str = ""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Two sets as text.

    Attributes:
        over_images: The interval, p-values and sizes where images are a sample too; empty where
            there are too few seeds for that.
    """

    sets: str
    fall: str
    seeds: int
    adjusted_p: str
    p: str
    least_p: str
    over_images: OverImagesCells


def comparison_rows(found: Sequence[Comparison]) -> list[ComparisonRow]:
    """A row for every pair of sets."""
    return [
        ComparisonRow(
            f"{each.t_re[0]} and {each.t_re[1]}",
            _effect(each.fall, "1"),
            each.seeds,
            _p(each.adjusted_p),
            _p(each.p),
            _p(each.least_p),
            _over_images(each.over_images),
        )
        for each in found
    ]


def claims_document(judgements: Sequence[Judgement]) -> list[dict[str, JsonValue]]:
    """Every claim with its verdict and all numbers behind it, as JSON."""
    return [
        {
            "name": judgement.claim.name,
            "statement": judgement.claim.statement,
            "rule": judgement.claim.rule,
            "verdict": str(judgement.verdict),
            "p": judgement.p,
            "p_adjusted": judgement.adjusted_p,
            "adjustment": "Holm over the claims tested",
            "significance": SIGNIFICANCE,
            "figure": f"figure-{judgement.claim.figure}",
            "evidence": [_part_document(part) for part in judgement.evidence],
        }
        for judgement in judgements
    ]


def _over_images(found: FallOverImages | None) -> OverImagesCells:
    if found is None:
        return OverImagesCells()
    fall = found.fall
    return OverImagesCells(
        _interval(fall.estimate, "1"),
        f"{fall.seeds} seeds, {fall.images:,} images",
        _p(found.adjusted_p),
        _p(fall.p),
    )


def _row(judgement: Judgement, numbers: Mapping[str, int]) -> ClaimRow:
    claim = judgement.claim
    number = numbers.get(claim.figure)
    return ClaimRow(
        claim.statement,
        claim.rule,
        str(judgement.verdict),
        [_sentences(part) for part in judgement.evidence],
        _p(judgement.adjusted_p),
        _p(judgement.p),
        (claim.figure, number) if number and judgement.evidence else None,
    )


def _sentences(part: Evidence) -> str:
    text = part.part[0].upper() + part.part[1:]
    if part.effect:
        text += f": {_effect(part.effect, part.unit)}"
    text += f"; n = {part.n}."
    if part.tails is None:
        return f"{text} Not tested: {part.reason}"
    return f"{text} {_test(part.tails)}"


def _effect(effect: Estimate, unit: str) -> str:
    value = _rounded(effect.value, unit)
    words = "percentage points" if unit == "1" else format_unit(unit)
    return f"{value} {words} ({100 * LEVEL:.0f} % interval {_interval(effect, unit)})"


def _interval(effect: Estimate, unit: str) -> str:
    return f"{_rounded(effect.low, unit)} to {_rounded(effect.high, unit)}"


def _rounded(number: float, unit: str) -> str:
    # So that a difference of equal shares is not shown as minus zero.
    return format_value(round(number, 12) + 0.0, unit)


def _test(tails: Tails) -> str:
    """The test in words, and where no outcome of it could decide, that it could not."""
    test = tails.test[0].upper() + tails.test[1:]
    text = f"{test}, {tails.symbol} = {tails.statistic:.4g}."
    least = 2 * tails.least
    if least > SIGNIFICANCE:
        text += f" So few seeds cannot decide: no p below {least:.3g} can occur."
    return text


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return f"< {SMALLEST_SHOWN}" if p < SMALLEST_SHOWN else f"{p:.2g}"


def _part_document(part: Evidence) -> dict[str, JsonValue]:
    effect: JsonValue = None
    if part.effect:
        effect = {**part.effect._asdict(), "level": LEVEL}
    return {
        "part": part.part,
        "unit": part.unit,
        "n": part.n,
        "effect": effect,
        "test": _test_document(part.tails) if part.tails else None,
        "not_tested_because": part.reason or None,
    }


def _test_document(tails: Tails) -> dict[str, JsonValue]:
    return {
        "name": tails.test,
        "statistic": tails.symbol,
        "value": tails.statistic if math.isfinite(tails.statistic) else None,
        "p_for": tails.greater,
        "p_against": tails.less,
        "least_p": tails.least,
    }
