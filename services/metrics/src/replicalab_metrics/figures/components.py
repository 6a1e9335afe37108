"""Reconstructed over real features on two principal components, one panel a ``t_re``."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replicalab.storage.projections import ProjectedSet, Projection
from replicalab_metrics.figures.curves import spread_evenly
from replicalab_metrics.figures.style import (
    BLACK,
    BLUE,
    GREY,
    VERMILION,
    figure_style,
    new_figure,
    place_legend_below,
)

MAX_PANELS = 4
MAX_POINTS = 4000
"""Per set; more would hide each other and make the SVG large."""

HEIGHT_INCHES = 7.4


def draw_components(projection: Projection) -> Figure | None:
    """Up to four sets from little to much noise; None where there are no two components."""
    steps = spread_evenly([step for step in projection.reconstructed if step > 0], MAX_PANELS)
    if len(projection.explained_shares) < 2 or not steps:
        return None
    rows, columns = (1, 1) if len(steps) == 1 else (-(-len(steps) // 2), 2)
    with figure_style():
        figure = new_figure(HEIGHT_INCHES if rows > 1 else HEIGHT_INCHES / 1.8)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel in panels.flat[len(steps) :]:
            panel.set_visible(False)
        for panel, step in zip(panels.flat, steps, strict=False):
            _draw_panel(panel, projection.real, projection.reconstructed[step])
            n = len(projection.reconstructed[step].labels)
            panel.set_title(f"$t_{{re}}$ = {step}, n = {n:,}", color=BLACK)
        shares = projection.explained_shares
        for panel in panels[-1]:
            panel.set_xlabel(f"component 1 ({100 * shares[0]:.1f} % of the real variance)")
        for panel in panels[:, 0]:
            panel.set_ylabel(f"component 2 ({100 * shares[1]:.1f} % of the real variance)")
        place_legend_below(panels[0, 0], columns=2)
    return figure


def _draw_panel(axes: Axes, real: ProjectedSet, fake: ProjectedSet) -> None:
    n = len(real.labels)
    for each, color, size, label in (
        (real, GREY, 9, f"real training images, n = {n:,}"),
        (fake, BLUE, 4, "reconstructions"),
    ):
        points = each.coordinates[spread_evenly(range(len(each.labels)), MAX_POINTS)]
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=size,
            color="none" if each is real else color,
            edgecolors=color if each is real else "none",
            linewidths=0.5,
            alpha=0.55,
            label=label,
            rasterized=True,
        )
    _draw_centroids(axes, real, fake)


def _draw_centroids(axes: Axes, real: ProjectedSet, fake: ProjectedSet) -> None:
    """Class means of the real set, named, and where the reconstructions' means went."""
    label = "class mean: real (number) to reconstructed (diamond)"
    for class_ in np.unique(real.labels):
        start = _mean(real, class_)
        if (fake.labels == class_).any():
            end = _mean(fake, class_)
            axes.plot(
                *np.stack([start, end]).T,
                color=VERMILION,
                linewidth=2,
                marker="D",
                markevery=[1],
                markersize=3.5,
                label=label,
            )
            label = ""
        axes.text(
            float(start[0]),
            float(start[1]),
            str(class_),
            ha="center",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": BLACK, "lw": 0.7},
        )


def _mean(each: ProjectedSet, class_: int) -> npt.NDArray[np.float64]:
    points = each.coordinates[each.labels == class_, :2]
    mean: npt.NDArray[np.float64] = points.mean(axis=0, dtype=np.float64)
    return mean
