"""How well classifiers tell each set from the real images, against ``t_re``."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab_metrics.figures.curves import curve_of, draw_curve, label_t_re
from replicalab_metrics.figures.style import (
    BLUE,
    GREY,
    VERMILION,
    figure_style,
    new_figure,
    place_legend_below,
)

HEIGHT_INCHES = 3.9
CHANCE = 0.5
LOWEST, MARGIN = 0.4, 0.02
"""Of the share axis, which reaches to 1: how far from chance is seen at a glance."""

DOMAINS = {
    MeasurementName.PIXEL_DETECTION_ACCURACY: ("pixels", BLUE, "-", "o", -0.006),
    MeasurementName.DCT_DETECTION_ACCURACY: ("DCT", VERMILION, "--", "s", 0.006),
}
"""Name, colour, line, marker and shift of what each detector sees."""


def draw_detection(measurements: Sequence[Measurement]) -> Figure | None:
    """Mean accuracy over seeds of every detector, and chance; None where none was measured."""
    curves = {
        name: curve for name in DOMAINS if (curve := curve_of(measurements, name)) is not None
    }
    if not curves:
        return None
    with figure_style():
        figure = new_figure(HEIGHT_INCHES)
        axes = figure.add_subplot()
        axes.axhline(CHANCE, color=GREY, linestyle=":", label="chance")
        for name, curve in curves.items():
            domain, color, line, marker, shift = DOMAINS[name]
            draw_curve(
                axes,
                curve,
                label=f"{domain}, mean of {curve.sample_size}",
                color=color,
                line=line,
                marker=marker,
                shift_share=shift,
            )
        bottom = min(float(np.min(curve.values - curve.margins[0])) for curve in curves.values())
        axes.set_ylim(min(bottom - MARGIN, LOWEST), 1 + MARGIN)
        axes.set_ylabel("images told for what they are (share)")
        label_t_re(axes, axes, next(iter(curves.values())))
        bars = any(curve.has_intervals for curve in curves.values())
        title = "bars: 95 % intervals (Student t)" if bars else None
        place_legend_below(axes, columns=3, title=title)
    return figure
