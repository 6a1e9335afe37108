"""The study beside the paper in words, for the page and for print, and as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from replicalab_metrics.reports.paper import PaperComparison, PaperPoint
from replicalab_metrics.reports.published import SOURCE
from replicalab_metrics.reports.tables import interval_text, reference_text, sample_size_text
from replicalab_metrics.reports.wording import MEASURE_WORDS, format_unit, format_value

MINUS, PLUS_MINUS = "\N{MINUS SIGN}", "\N{PLUS-MINUS SIGN}"
NOT_COMPARED = "shape only"


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One set of one measure as text.

    Attributes:
        measure: With its reference and unit.
        interval: Of our value; empty where there is none.
        difference: Ours minus theirs, signed, or that only shapes may be compared.
    """

    measure: str
    t_re: int
    ours: str
    interval: str
    n: str
    theirs: str
    difference: str


def paper_rows(comparisons: Sequence[PaperComparison]) -> list[PaperRow]:
    """A row for every set that both measured."""
    return [_row(each, point) for each in comparisons for point in each.points]


def paper_remarks(comparisons: Sequence[PaperComparison]) -> list[str]:
    """A sentence or two for every measure: what spreads are, and what may be compared."""
    return [f"{_measure(each)}: {text}" for each in comparisons if (text := _remark(each))]


def paper_document(comparisons: Sequence[PaperComparison]) -> list[dict[str, JsonValue]]:
    """Every number of both sides as JSON."""
    return [
        {
            "name": str(each.published.name),
            "reference": each.published.reference,
            "unit": each.published.unit,
            "source": SOURCE,
            "spread": each.published.spread or None,
            "remark": each.remark or None,
            "points": [_point_document(point) for point in each.points],
        }
        for each in comparisons
    ]


def _row(compared: PaperComparison, point: PaperPoint) -> PaperRow:
    unit = compared.published.unit
    theirs = _published(point.theirs.value, unit)
    if point.theirs.spread is not None:
        theirs += f" {PLUS_MINUS} {_published(point.theirs.spread, unit)}"
    return PaperRow(
        _measure(compared),
        point.ours.t_re or 0,
        format_value(point.ours.value, unit),
        interval_text(point.ours),
        sample_size_text(point.ours),
        theirs,
        NOT_COMPARED if point.difference is None else _signed(point.difference, unit),
    )


def _measure(compared: PaperComparison) -> str:
    published = compared.published
    words = f"{MEASURE_WORDS[published.name]} {reference_text(published.name, published.reference)}"
    return f"{words.strip()} ({format_unit(published.unit)})"


def _remark(compared: PaperComparison) -> str:
    spread = compared.published.spread
    parts = [f"{PLUS_MINUS} is the {spread}." if spread else "", compared.remark]
    return " ".join(part for part in parts if part)


def _published(value: float, unit: str) -> str:
    """As many digits as the paper has: percent to two decimals, else three decimals."""
    return f"{100 * value:.2f}" if unit == "1" else f"{value:.3f}"


def _signed(difference: float, unit: str) -> str:
    text = _published(abs(difference), unit)
    is_zero = not text.strip("0.")
    return text if is_zero else f"{MINUS if difference < 0 else '+'}{text}"


def _point_document(point: PaperPoint) -> dict[str, JsonValue]:
    return {
        "t_re": point.ours.t_re,
        "ours": point.ours.model_dump(mode="json"),
        "theirs": {"value": point.theirs.value, "spread": point.theirs.spread},
        "difference": point.difference,
    }
