"""Frechet distance with precision and recall, against ``t_re`` on two axes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.curves import Curve, curve_of, draw_curve, label_t_re
from replicalab_metrics.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    figure_style,
    new_figure,
    place_legend_below,
)

HEIGHT_INCHES = 4.6

REFERENCES = {
    Reference.TRAIN: ("training", "-", -0.006),
    Reference.TEST: ("held-out", "--", 0.006),
}
"""Name, line and shift of what was measured against each real set."""

SHARES = {
    MeasurementName.PRECISION: ("precision", ORANGE, "s"),
    MeasurementName.RECALL: ("recall", GREEN, "^"),
}


def draw_distances(measurements: Sequence[Measurement]) -> Figure | None:
    """Distance on the left axis, shares on the right; None where neither was measured."""
    distances = _curves(measurements, MeasurementName.FRECHET_DISTANCE)
    shares = {name: _curves(measurements, name) for name in SHARES}
    drawn = [*distances.values(), *(curve for each in shares.values() for curve in each.values())]
    if not drawn:
        return None
    with figure_style():
        figure = new_figure(HEIGHT_INCHES)
        axes = figure.add_subplot()
        both = [axes]
        if distances:
            _draw_distance_axis(axes, distances)
        if any(shares.values()):
            share_axes = axes.twinx() if distances else axes
            both = [axes, share_axes] if distances else [axes]
            _draw_share_axis(share_axes, shares)
        label_t_re(axes, axes, drawn[0])
        place_legend_below(*both, columns=2, title="bars: 95 % intervals")
    return figure


def _curves(measurements: Sequence[Measurement], name: MeasurementName) -> dict[Reference, Curve]:
    curves = {reference: curve_of(measurements, name, reference) for reference in Reference}
    return {reference: curve for reference, curve in curves.items() if curve is not None}


def _draw_distance_axis(axes: Axes, distances: dict[Reference, Curve]) -> None:
    for reference, curve in distances.items():
        real_set, line, shift = REFERENCES[reference]
        label = f"Fréchet distance to {real_set} set (n = {_sizes(curve)})"
        draw_curve(axes, curve, label=label, color=BLUE, line=line, marker="o", shift_share=shift)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Fréchet distance (squared feature units)", color=BLUE)
    axes.tick_params(axis="y", colors=BLUE)


def _draw_share_axis(axes: Axes, shares: dict[MeasurementName, dict[Reference, Curve]]) -> None:
    for name, curves in shares.items():
        word, color, marker = SHARES[name]
        for reference, curve in curves.items():
            real_set, line, shift = REFERENCES[reference]
            label = f"{word}, {real_set} set (n = {curve.points[0].n:,})"
            draw_curve(
                axes,
                curve,
                label=label,
                color=color,
                line=line,
                marker=marker,
                shift_share=shift,
            )
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel("precision, recall (share of images)")
    axes.spines["right"].set_visible(True)
    axes.grid(visible=False)


def _sizes(curve: Curve) -> str:
    """How many reconstructions stand against how many real images."""
    point = curve.points[0]
    return f"{point.n:,} against {point.recipe['n_reference']:,}"
