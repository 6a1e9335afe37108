"""Small charts against ``t_re``, one for each further measure of a set."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.curves import Curve, curve_of, draw_curve
from replicalab_metrics.figures.distances import REFERENCES
from replicalab_metrics.figures.style import BLUE, figure_style, new_figure

COLUMNS = 3
ROW_INCHES = 1.9
LEGEND_INCHES = 0.6

TITLES = {
    MeasurementName.KERNEL_DISTANCE: "kernel distance (KID)",
    MeasurementName.DENSITY: "density",
    MeasurementName.COVERAGE: "coverage",
    MeasurementName.ALPHA_PRECISION: "alpha-precision",
    MeasurementName.BETA_RECALL: "beta-recall",
    MeasurementName.AUTHENTICITY: "authenticity",
    MeasurementName.SOURCE_NEAREST: "source is the nearest",
    MeasurementName.VENDI_SCORE: "Vendi score",
    MeasurementName.FEATURE_LIKELIHOOD_DIVERGENCE: "FLD",
    MeasurementName.CLASS_FLIP_RATE: "class-flip rate",
}

SHARES = (
    MeasurementName.COVERAGE,
    MeasurementName.ALPHA_PRECISION,
    MeasurementName.BETA_RECALL,
    MeasurementName.AUTHENTICITY,
    MeasurementName.SOURCE_NEAREST,
    MeasurementName.CLASS_FLIP_RATE,
)
"""Drawn from 0 to 1, so that charts can be compared."""

SPANS_MAGNITUDES = MeasurementName.FEATURE_LIKELIHOOD_DIVERGENCE
"""Millions for copies, units for fresh images: drawn on a logarithmic scale beyond 1."""

Charts = dict[MeasurementName, dict[Reference | None, Curve]]


def draw_quality(measurements: Sequence[Measurement]) -> Figure | None:
    """A chart a measure; None where none of them was taken."""
    charts = _charts(measurements)
    if not charts:
        return None
    rows = -(-len(charts) // COLUMNS)
    with figure_style():
        figure = new_figure(rows * ROW_INCHES + LEGEND_INCHES)
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        for axes, (name, curves) in zip(grid.flat, charts.items(), strict=False):
            _draw_chart(axes, name, curves)
        for axes in grid.flat[len(charts) :]:
            axes.set_visible(False)
        _place_legend(figure, list(grid.flat[: len(charts)]))
    return figure


def _charts(measurements: Sequence[Measurement]) -> Charts:
    charts: Charts = {}
    for name in TITLES:
        curves = {
            reference: curve
            for reference in (*Reference, None)
            if (curve := curve_of(measurements, name, reference)) is not None
        }
        if curves:
            charts[name] = curves
    return charts


def _place_legend(figure: Figure, charts: Sequence[Axes]) -> None:
    """Every line once, wherever it is drawn first."""
    lines = {
        label: handle
        for axes in reversed(charts)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(lines.values()),
        list(lines),
        loc="outside lower center",
        ncols=COLUMNS,
        title="bars: 95 % intervals",
    )


def _draw_chart(axes: Axes, name: MeasurementName, curves: dict[Reference | None, Curve]) -> None:
    for reference, curve in curves.items():
        against, line, shift = REFERENCES[reference] if reference else ("the set itself", "-", 0.0)
        label = f"against the {against} set" if reference else against
        draw_curve(axes, curve, label=label, color=BLUE, line=line, marker="o", shift_share=shift)
    axes.set_title(TITLES[name])
    axes.set_xlabel("$t_{re}$")
    if name in SHARES:
        axes.set_ylim(-0.04, 1.04)
    elif name == SPANS_MAGNITUDES:
        axes.set_yscale("symlog", linthresh=1)
