"""What the real-trained classifier answers for each set: entropy and accuracy."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.curves import Curve, curve_of, draw_curve, label_t_re
from replicalab_metrics.figures.style import (
    BLUE,
    GREEN,
    GREY,
    VERMILION,
    figure_style,
    new_figure,
    place_legend_below,
)

HEIGHT_INCHES = 5.4
REAL_SET = 0
SHIFT_SHARE = 0.006
"""Of the axis: intervals of the two entropies stand side by side."""


def draw_real_classifier(measurements: Sequence[Measurement]) -> Figure | None:
    """Entropy above, accuracy below; None where either was not measured."""
    entropy = curve_of(measurements, MeasurementName.REAL_CLASSIFIER_ENTROPY)
    accuracy = curve_of(measurements, MeasurementName.REAL_CLASSIFIER_ACCURACY)
    if entropy is None or accuracy is None:
        return None
    held_out = curve_of(measurements, MeasurementName.HELD_OUT_ENTROPY, Reference.TEST)
    with figure_style():
        figure = new_figure(HEIGHT_INCHES)
        above, below = figure.subplots(2, 1, sharex=True)
        label = f"on the set, n = {entropy.sample_size} each (95 % interval)"
        draw_curve(
            above,
            entropy,
            label=f"entropy {label}",
            color=VERMILION,
            line="-",
            marker="o",
            shift_share=-SHIFT_SHARE,
        )
        if held_out is not None:
            _draw_held_out(above, held_out)
        above.set_ylim(bottom=0)
        above.set_ylabel("mean output entropy (nats)")
        draw_curve(below, accuracy, label=f"accuracy {label}", color=GREEN, line="-", marker="s")
        below.set_ylabel("accuracy (share)")
        label_t_re(below, above, accuracy)
        place_legend_below(above, below, columns=1)
    return figure


def _draw_held_out(axes: Axes, held_out: Curve) -> None:
    """A line where test images were reconstructed too, else the level of the real ones."""
    if held_out.t_re == [REAL_SET]:
        _draw_level(axes, held_out)
        return
    label = f"entropy on held-out images, reconstructed as well, n = {held_out.sample_size} each"
    draw_curve(
        axes,
        held_out,
        label=label,
        color=BLUE,
        line="--",
        marker="s",
        shift_share=SHIFT_SHARE,
    )


def _draw_level(axes: Axes, held_out: Curve) -> None:
    """The level of real images the classifier has not seen, with its interval."""
    level = held_out.points[0]
    label = f"entropy on held-out real images, n = {level.n:,}"
    axes.axhline(level.value, color=GREY, linestyle="--", label=label)
    if level.interval:
        axes.axhspan(level.interval.low, level.interval.high, color=GREY, alpha=0.15, linewidth=0)
