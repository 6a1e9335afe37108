"""The result table: a row per ``t_re``, a column per measure."""

from collections.abc import Sequence
from dataclasses import dataclass

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.curves import Curve, curve_of
from replicalab_metrics.reports.wording import MEASURE_WORDS, format_unit, format_value

OF_TRAINED_NETWORKS = (
    MeasurementName.PIXEL_DETECTION_ACCURACY,
    MeasurementName.PIXEL_DETECTION_AUC,
    MeasurementName.DCT_DETECTION_ACCURACY,
    MeasurementName.DCT_DETECTION_AUC,
    MeasurementName.HEAT_MAP_CORRELATION,
    MeasurementName.HEAT_MAP_OVERLAP,
    MeasurementName.CONSTANT_HEAT_MAPS,
)
"""Of networks that were trained to find them out, on request."""

SINGLE = (
    MeasurementName.ACCURACY,
    MeasurementName.REAL_CLASSIFIER_ACCURACY,
    MeasurementName.REAL_CLASSIFIER_ENTROPY,
    MeasurementName.VENDI_SCORE,
    *OF_TRAINED_NETWORKS,
)
"""Measured without a reference."""


def _references(name: MeasurementName) -> tuple[Reference | None, ...]:
    if name is MeasurementName.HELD_OUT_ENTROPY:
        return (Reference.TEST,)
    return (None,) if name in SINGLE else tuple(Reference)


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
        MeasurementName.HELD_OUT_ENTROPY,
        MeasurementName.CLASS_FLIP_RATE,
        *OF_TRAINED_NETWORKS,
    )
    for reference in _references(name)
)

NOT_MEASURED = "not measured"
TO = "\N{EN DASH}"
NEGATIVE_TO = " to "
"""A dash beside a sign would read as two signs."""

REFERENCE_WORDS = {Reference.TRAIN: "to training set", Reference.TEST: "to held-out set"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as text.

    Attributes:
        interval: Its ends; empty where there is none.
        spread: Standard deviation over training seeds; empty for what is no mean of seeds.
    """

    value: str
    interval: str
    spread: str


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
    measured = [curve for curve in curves if curve is not None and not _is_level(curve)]
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


def _is_level(curve: Curve) -> bool:
    """Whether it is what reconstructions are read against: real images that were held out."""
    return curve.t_re == [0] and curve.points[0].name == MeasurementName.HELD_OUT_ENTROPY


def reference_text(name: MeasurementName, reference: Reference | None) -> str:
    """The real set that was compared with, or nothing where the measure's name says it all."""
    if reference is None or name is MeasurementName.HELD_OUT_ENTROPY:
        return ""
    return REFERENCE_WORDS[reference]


def interval_text(measurement: Measurement) -> str:
    """Both ends of the interval; empty where there is none."""
    interval = measurement.interval
    if interval is None:
        return ""
    low, high = (format_value(end, measurement.unit) for end in (interval.low, interval.high))
    return f"{low}{NEGATIVE_TO if low.startswith('-') else TO}{high}"


def sample_size_text(measurement: Measurement) -> str:
    """How many images, or how many of what else, stand behind a value."""
    return Curve((measurement,)).sample_size.removesuffix(" images")


def _column(curve: Curve) -> Column:
    point = curve.points[0]
    name = MeasurementName(point.name)
    return Column(
        MEASURE_WORDS[name],
        reference_text(name, point.reference),
        format_unit(point.unit),
        curve.sample_size.removesuffix(" images"),
    )


def _cell(curve: Curve, t_re: int) -> Cell:
    for point in curve.points:
        if point.t_re == t_re:
            return Cell(format_value(point.value, point.unit), interval_text(point), _spread(point))
    return Cell(NOT_MEASURED, "", "")


def _spread(measurement: Measurement) -> str:
    """The standard deviation between training runs; that of images is no spread of the value."""
    if measurement.std is None or measurement.n_unit != "seeds":
        return ""
    return format_value(measurement.std, measurement.unit)
