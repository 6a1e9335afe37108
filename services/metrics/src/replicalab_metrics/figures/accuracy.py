"""Accuracy of classifiers trained on each set, against ``t_re``."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab_metrics.figures.curves import curve_of, draw_curve, label_t_re
from replicalab_metrics.figures.style import (
    BLUE,
    GREY,
    figure_style,
    new_figure,
    place_legend_below,
)

HEIGHT_INCHES = 3.9


def draw_accuracy(measurements: Sequence[Measurement]) -> Figure | None:
    """Mean over seeds with its interval, and every seed; None where nothing was measured."""
    mean = curve_of(measurements, MeasurementName.ACCURACY)
    if mean is None:
        return None
    seeds = curve_of(measurements, MeasurementName.SEED_ACCURACY)
    with figure_style():
        figure = new_figure(HEIGHT_INCHES)
        axes = figure.add_subplot()
        interval = " with 95 % interval (Student t)" if mean.has_intervals else ""
        label = f"mean of {mean.sample_size}{interval}"
        draw_curve(axes, mean, label=label, color=BLUE, line="-", marker="o")
        if seeds is not None:
            axes.plot(
                seeds.t_re,
                seeds.values,
                linestyle="",
                marker="x",
                color=GREY,
                label=f"single seeds (tested on {seeds.sample_size})",
            )
        axes.set_ylabel("accuracy on real test images (share)")
        label_t_re(axes, axes, mean)
        place_legend_below(axes, columns=2)
    return figure
