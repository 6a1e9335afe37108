"""Accuracy of classifiers trained on each set, and how far it falls below the real set's.

The paper draws accuracies as bars. A bar says its length, so it must begin at 0, where all
accuracies of one study look alike; an axis that is cut makes the lengths lie. Accuracies are
therefore points, and bars are given to what does begin at 0: the fall from the real set.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab_metrics.figures.curves import Curve, curve_of, draw_curve, label_t_re
from replicalab_metrics.figures.seeds import SeedRuns
from replicalab_metrics.figures.style import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    figure_style,
    new_figure,
    place_legend_below,
)
from replicalab_metrics.measures.intervals import mean_interval

HEIGHT_INCHES = 3.9
HEIGHT_WITH_FALLS_INCHES = 5.6
BAR_SHARE = 0.6
"""Of the least distance between two sets."""

LEAST_BAR_SHARE = 0.015
"""Of the axis: narrower bars cannot be seen."""

REAL_SET = 0


def draw_accuracy(measurements: Sequence[Measurement]) -> Figure | None:
    """Mean with its interval and every seed; below, falls as bars where the real set is known.

    None where nothing was measured.
    """
    mean = curve_of(measurements, MeasurementName.ACCURACY)
    if mean is None:
        return None
    runs = SeedRuns.of(measurements)
    has_falls = len(runs.t_re) > 1 and runs.t_re[0] == REAL_SET and len(runs.values) > 0
    with figure_style():
        figure = new_figure(HEIGHT_WITH_FALLS_INCHES if has_falls else HEIGHT_INCHES)
        panels = list(figure.subplots(1 + has_falls, 1, sharex=True, squeeze=False)[:, 0])
        _draw_means(panels[0], mean, curve_of(measurements, MeasurementName.SEED_ACCURACY))
        if has_falls:
            _draw_falls(panels[1], runs)
        label_t_re(panels[-1], panels[0], mean)
        place_legend_below(*panels, columns=2)
    return figure


def _draw_means(axes: Axes, mean: Curve, seeds: Curve | None) -> None:
    interval = " with 95 % interval (Student t)" if mean.has_intervals else ""
    label = f"mean of {mean.sample_size}{interval}"
    draw_curve(axes, mean, label=label, color=BLUE, line="-", marker="o")
    if seeds is not None:
        label = f"single seeds (tested on {seeds.sample_size})"
        axes.plot(seeds.t_re, seeds.values, linestyle="", marker="x", color=GREY, label=label)
    axes.set_ylabel("accuracy on real\ntest images (share)")


def _draw_falls(axes: Axes, runs: SeedRuns) -> None:
    """A bar a set: real set minus this one within each seed, in the mean; crosses are seeds."""
    falls = 100 * (runs.values[:, :1] - runs.values[:, 1:])
    t_re = np.array(runs.t_re[1:], dtype=np.float64)
    width = _bar_width(runs.t_re)
    seeds = len(falls)
    arms = _arms(falls)
    interval = "" if arms is None else ", 95 % interval of paired differences"
    axes.bar(
        t_re,
        falls.mean(axis=0),
        width=width,
        yerr=arms,
        color=SKY,
        edgecolor=BLACK,
        linewidth=0.7,
        error_kw={"elinewidth": 1, "ecolor": BLACK},
        label=f"fall, mean of {seeds} seed{'' if seeds == 1 else 's'}{interval}",
    )
    if seeds > 1:
        places = np.broadcast_to(t_re + width / 4, falls.shape)  # beside the interval
        axes.plot(places.ravel(), falls.ravel(), linestyle="", marker="x", color=BLACK)
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.set_ylabel("fall from the real set\n(percentage points)")


def _arms(falls: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Lengths of the intervals' arms, (2, set); None for a single seed."""
    bounds = [mean_interval(column) for column in falls.T]
    margins = [each.high - each.low for each in bounds if each is not None]
    return np.tile(np.array(margins) / 2, (2, 1)) if margins else None


def _bar_width(t_re: Sequence[int]) -> float:
    least = float(np.diff(t_re).min())
    return max(BAR_SHARE * least, LEAST_BAR_SHARE * (t_re[-1] - t_re[0]))
