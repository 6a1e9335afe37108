"""How well classifiers tell each set from the real images, against ``t_re``."""

from collections.abc import Sequence

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
            interval = " with 95 % interval (Student t)" if curve.has_intervals else ""
            draw_curve(
                axes,
                curve,
                label=f"{domain}, mean of {curve.sample_size}{interval}",
                color=color,
                line=line,
                marker=marker,
                shift_share=shift,
            )
        axes.set_ylabel("originals and reconstructions told apart (share)")
        label_t_re(axes, axes, next(iter(curves.values())))
        place_legend_below(axes, columns=3)
    return figure
