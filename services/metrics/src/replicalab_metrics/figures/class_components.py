"""One class on two principal components, at little, middle and much noise."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from replicalab.storage.projections import ProjectedSet, Projection
from replicalab_metrics.figures.components import class_mean, draw_clouds, label_components
from replicalab_metrics.figures.curves import spread_evenly
from replicalab_metrics.figures.style import (
    BLACK,
    VERMILION,
    figure_style,
    new_figure,
    place_legend_below,
)

MAX_PANELS = 3
HEIGHT_INCHES = 3.5
CLOUD_ENLARGED = 2.2
DEVIATIONS = 2
"""Half-axes of the ellipses, in standard deviations."""


def draw_class_components(projection: Projection) -> Figure | None:
    """The class that moves furthest, at up to three ``t_re``; None where no class can be drawn."""
    steps = spread_evenly(sorted(projection.reconstructed), MAX_PANELS)
    class_ = class_moved_furthest(projection)
    if class_ is None:
        return None
    real = _only(projection.real, class_)
    with figure_style():
        figure = new_figure(HEIGHT_INCHES)
        panels = figure.subplots(1, len(steps), sharex=True, sharey=True, squeeze=False)[0]
        for axes, step in zip(panels, steps, strict=True):
            fake = _only(projection.reconstructed[step], class_)
            draw_clouds(axes, real, fake, enlarged=CLOUD_ENLARGED)
            _draw_ellipse(axes, real, color=BLACK, line="--", label="real images: 2 std")
            _draw_ellipse(axes, fake, color=VERMILION, line="-", label="reconstructions: 2 std")
            name = f"{step} (real)" if step == 0 else f"{step}"
            axes.set_title(f"$t_{{re}}$ = {name}, n = {len(fake.labels):,}", color=BLACK)
        label_components(panels, panels[:1], projection, gap="\n")
        place_legend_below(panels[0], columns=2, title=f"class {class_}, whose mean moves furthest")
    return figure


def class_moved_furthest(projection: Projection) -> int | None:
    """The class whose mean lies furthest from its real mean in the set of the most noise.

    On two components; of equals the lowest class. None without two components, or where no class
    has two images or more in the real and in every reconstructed set.
    """
    if len(projection.explained_shares) < 2 or not projection.reconstructed:
        return None
    real, last = projection.real, projection.reconstructed[max(projection.reconstructed)]
    sets = [real, *projection.reconstructed.values()]
    distances = {
        class_: float(np.linalg.norm(class_mean(last, class_) - class_mean(real, class_)))
        for class_ in np.unique(real.labels).tolist()
        if all(np.count_nonzero(each.labels == class_) > 1 for each in sets)
    }
    return max(distances, key=lambda class_: distances[class_], default=None)


def _only(each: ProjectedSet, class_: int) -> ProjectedSet:
    is_kept = each.labels == class_
    return ProjectedSet(each.coordinates[is_kept], each.labels[is_kept])


def _draw_ellipse(axes: Axes, each: ProjectedSet, *, color: str, line: str, label: str) -> None:
    """The contour of the Gaussian of the points at ``DEVIATIONS`` along each of its axes."""
    points = each.coordinates[:, :2].astype(np.float64)
    variances, directions = np.linalg.eigh(np.cov(points.T))
    width, height = 2 * DEVIATIONS * np.sqrt(variances.clip(min=0))
    mean_x, mean_y = points.mean(axis=0)
    outline = Ellipse(
        (mean_x, mean_y),
        width,
        height,
        angle=float(np.degrees(np.arctan2(directions[1, 0], directions[0, 0]))),
        fill=False,
        edgecolor=color,
        linestyle=line,
        linewidth=1.5,
        label=label,
    )
    axes.add_patch(outline)
