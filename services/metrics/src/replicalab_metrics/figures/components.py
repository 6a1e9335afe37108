"""Reconstructed over real features on two principal components, one panel a ``t_re``."""

from collections.abc import Iterable

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
            fake = projection.reconstructed[step]
            draw_clouds(panel, projection.real, fake)
            _draw_centroids(panel, projection.real, fake)
            panel.set_title(f"$t_{{re}}$ = {step}, n = {len(fake.labels):,}", color=BLACK)
        label_components(panels[-1], panels[:, 0], projection)
        place_legend_below(panels[0, 0], columns=2)
    return figure


def label_components(
    bottom: Iterable[Axes], left: Iterable[Axes], projection: Projection, *, gap: str = " "
) -> None:
    """Name the axes, with their share of the variance; ``gap`` parts the two."""
    first, second = (
        f"component {number}{gap}({100 * share:.1f} % of the real variance)"
        for number, share in enumerate(projection.explained_shares[:2], start=1)
    )
    for axes in bottom:
        axes.set_xlabel(first)
    for axes in left:
        axes.set_ylabel(second)


def draw_clouds(
    axes: Axes, real: ProjectedSet, fake: ProjectedSet, *, enlarged: float = 1.0
) -> None:
    """Real images as open circles, reconstructions as dots over them.

    ``enlarged`` is for few points: their areas as a multiple of the usual ones.
    """
    n = len(real.labels)
    for each, color, size, label in (
        (real, GREY, 9, f"real training images, n = {n:,}"),
        (fake, BLUE, 4, "reconstructions"),
    ):
        points = each.coordinates[spread_evenly(range(len(each.labels)), MAX_POINTS)]
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=size * enlarged,
            color="none" if each is real else color,
            edgecolors=color if each is real else "none",
            linewidths=0.5,
            alpha=0.55,
            label=label,
            rasterized=True,
        )


def _draw_centroids(axes: Axes, real: ProjectedSet, fake: ProjectedSet) -> None:
    """Class means of the real set, named, and where the reconstructions' means went."""
    label = "class mean: real (number) to reconstructed (diamond)"
    for class_ in np.unique(real.labels):
        start = class_mean(real, class_)
        if (fake.labels == class_).any():
            end = class_mean(fake, class_)
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


def class_mean(each: ProjectedSet, class_: int) -> npt.NDArray[np.float64]:
    """Mean of the images of a class on the first two components."""
    points = each.coordinates[each.labels == class_, :2]
    mean: npt.NDArray[np.float64] = points.mean(axis=0, dtype=np.float64)
    return mean
