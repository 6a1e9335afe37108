"""The result table: a row per ``t_re``, a column per measure."""

from collections.abc import Sequence
from dataclasses import dataclass

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.curves import Curve, curve_of
from replicalab_metrics.reports.wording import MEASURE_WORDS, format_unit, format_value

SINGLE = (
    MeasurementName.ACCURACY,
    MeasurementName.REAL_CLASSIFIER_ACCURACY,
    MeasurementName.REAL_CLASSIFIER_ENTROPY,
    MeasurementName.VENDI_SCORE,
    MeasurementName.PIXEL_DETECTION_ACCURACY,
    MeasurementName.PIXEL_DETECTION_AUC,
    MeasurementName.DCT_DETECTION_ACCURACY,
    MeasurementName.DCT_DETECTION_AUC,
)
"""Measured without a reference."""

COLUMNS: tuple[tuple[MeasurementName, Reference | None], ...] = tuple(
    (name, reference)
    for name in (
        MeasurementName.ACCURACY,
        MeasurementName.FRECHET_DISTANCE,
        MeasurementName.KERNEL_DISTANCE,
        MeasurementName.KERNEL_DISTANCE_OF_SUBSETS,
        MeasurementName.PRECISION,
        MeasurementName.RECALL,
        MeasurementName.DENSITY,
        MeasurementName.COVERAGE,
        MeasurementName.RIM_RECALL,
        MeasurementName.RIM_COVERAGE,
        MeasurementName.CENTROID_DISTANCE_RATIO,
        MeasurementName.ALPHA_PRECISION,
        MeasurementName.BETA_RECALL,
        MeasurementName.AUTHENTICITY,
        MeasurementName.SOURCE_NEAREST,
        MeasurementName.VENDI_SCORE,
        MeasurementName.FEATURE_LIKELIHOOD_DIVERGENCE,
        MeasurementName.REAL_CLASSIFIER_ACCURACY,
        MeasurementName.REAL_CLASSIFIER_ENTROPY,
        MeasurementName.CLASS_FLIP_RATE,
        MeasurementName.PIXEL_DETECTION_ACCURACY,
        MeasurementName.PIXEL_DETECTION_AUC,
        MeasurementName.DCT_DETECTION_ACCURACY,
        MeasurementName.DCT_DETECTION_AUC,
    )
    for reference in ((None,) if name in SINGLE else tuple(Reference))
)

REFERENCE_WORDS = {Reference.TRAIN: "to training set", Reference.TEST: "to held-out set"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A value and its interval as text; the interval is empty where there is none."""

    value: str
    interval: str


@dataclass(frozen=True, slots=True)
class Column:
    """One measure."""

    measure: str
    reference: str
    unit: str
    sample_size: str


@dataclass(frozen=True, slots=True)
class Row:
    """One reconstructed set."""

    t_re: int
    sigma: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Columns that were measured, and a row for every ``t_re`` that has a value."""

    columns: list[Column]
    rows: list[Row]


def result_table(measurements: Sequence[Measurement]) -> ResultTable:
    """The table of ``measurements``."""
    curves = [curve_of(measurements, name, reference) for name, reference in COLUMNS]
    measured = [curve for curve in curves if curve is not None]
    sigmas = {
        step: sigma
        for curve in measured
        for step, sigma in zip(curve.t_re, curve.sigmas, strict=True)
    }
    rows = [
        Row(t_re, f"{sigmas[t_re]:.3g}", [_cell(curve, t_re) for curve in measured])
        for t_re in sorted(sigmas)
    ]
    return ResultTable([_column(curve) for curve in measured], rows)


def _column(curve: Curve) -> Column:
    point = curve.points[0]
    reference = REFERENCE_WORDS[point.reference] if point.reference else ""
    return Column(
        MEASURE_WORDS[MeasurementName(point.name)],
        reference,
        format_unit(point.unit),
        curve.sample_size.removesuffix(" images"),
    )


def _cell(curve: Curve, t_re: int) -> Cell:
    for point in curve.points:
        if point.t_re == t_re:
            interval = point.interval
            ends = [interval.low, interval.high] if interval else []
            return Cell(
                format_value(point.value, point.unit),
                "\u2013".join(format_value(end, point.unit) for end in ends),
            )
    return Cell("not measured", "")
