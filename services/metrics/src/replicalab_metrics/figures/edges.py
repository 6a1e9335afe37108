"""Recall and coverage of real images from the core of their class to its rim."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.curves import spread_evenly
from replicalab_metrics.figures.style import figure_style, new_figure, place_legend_below

HEIGHT_INCHES = 5.2
MOST_SETS = 7
MARGIN = 0.04
MARKERS = "os^Dv<>"
ORDER = "class centroid"

ROWS = {MeasurementName.TENTH_RECALL: "recall", MeasurementName.TENTH_COVERAGE: "coverage"}
COLUMNS = {Reference.TRAIN: "training images", Reference.TEST: "held-out images"}


def draw_edges(measurements: Sequence[Measurement]) -> Figure | None:
    """A line a set over the tenths of every class; None where they were not measured."""
    tenths = [
        each
        for each in measurements
        if each.name in ROWS and each.recipe.get("order") == ORDER and each.t_re is not None
    ]
    if not tenths:
        return None
    shown = spread_evenly(sorted({each.t_re or 0 for each in tenths}), MOST_SETS)
    with figure_style():
        figure = new_figure(HEIGHT_INCHES)
        grid = figure.subplots(len(ROWS), len(COLUMNS), sharex=True, sharey=True)
        for row, name in enumerate(ROWS):
            for column, reference in enumerate(COLUMNS):
                chosen = [
                    each for each in tenths if (each.name, each.reference) == (name, reference)
                ]
                _draw_panel(grid[row, column], chosen, shown)
                if row == 0:
                    grid[row, column].set_title(COLUMNS[reference])
                else:
                    grid[row, column].set_xlabel("tenth of every class (10 is the rim)")
            grid[row, 0].set_ylabel(f"{ROWS[name]} (share of images)")
        grid[0, 0].set_ylim(max(_lowest(tenths) - MARGIN, -MARGIN), 1 + MARGIN)
        place_legend_below(grid[0, 0], columns=len(shown), title="bars: 95 % intervals")
    return figure


def _draw_panel(axes: Axes, tenths: Sequence[Measurement], shown: Sequence[int]) -> None:
    colors = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(shown)))
    for t_re, color, marker in zip(shown, colors, MARKERS, strict=False):
        points = sorted(
            (each for each in tenths if each.t_re == t_re), key=lambda each: _tenth(each)
        )
        arms = [
            (each.value - each.interval.low, each.interval.high - each.value)
            if each.interval
            else (0.0, 0.0)
            for each in points
        ]
        axes.errorbar(
            [_tenth(each) for each in points],
            [each.value for each in points],
            yerr=np.array(arms).T.clip(min=0) if points else None,
            label=f"$t_{{re}}$ {t_re}",
            color=color,
            marker=marker,
            elinewidth=0.7,
            capsize=1.5,
        )
    axes.set_xticks(range(1, 11))


def _lowest(tenths: Sequence[Measurement]) -> float:
    """Lowest end of any interval: where all shares are near 1, an axis from 0 would hide them."""
    return min(each.interval.low if each.interval else each.value for each in tenths)


def _tenth(measurement: Measurement) -> int:
    return int(str(measurement.recipe["tenth"]))
