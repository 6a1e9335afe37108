"""Precision and recall class by class: a row a class, a column a set."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.style import figure_style, new_figure

ROW_INCHES = 0.24
MARGIN_INCHES = 1.3
MOST_NUMBERED_CLASSES = 24
"""Beyond these, rows are too low for numbers in their cells."""

PANELS = {MeasurementName.PRECISION: "precision", MeasurementName.RECALL: "recall"}
DARK = 0.55
"""Values below are drawn dark, with light numbers on them."""


def draw_classes(measurements: Sequence[Measurement]) -> Figure | None:
    """Shares against the training set as numbers on shades; None where they were not measured."""
    cells = {
        (str(each.name), int(str(each.recipe["class"])), each.t_re): each.value
        for each in measurements
        if each.name in PANELS
        and each.reference is Reference.TRAIN
        and "class" in each.recipe
        and each.t_re is not None
    }
    if not cells:
        return None
    classes = sorted({class_ for _, class_, _ in cells})
    t_re = sorted({step for _, _, step in cells if step is not None})
    with figure_style():
        rows = min(len(classes), 2 * MOST_NUMBERED_CLASSES)
        figure = new_figure(rows * ROW_INCHES + MARGIN_INCHES)
        panels = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
            shares = np.array(
                [[cells.get((name, class_, step), np.nan) for step in t_re] for class_ in classes]
            )
            _draw_panel(axes, shares, with_numbers=len(classes) <= MOST_NUMBERED_CLASSES)
            axes.set_title(title)
            axes.set_xticks(range(len(t_re)), labels=[str(step) for step in t_re])
            axes.set_xlabel("$t_{re}$")
        if len(classes) <= MOST_NUMBERED_CLASSES:
            panels[0].set_yticks(range(len(classes)), labels=[str(each) for each in classes])
        panels[0].set_ylabel("class")
    return figure


def _draw_panel(axes: Axes, shares: npt.NDArray[np.float64], *, with_numbers: bool) -> None:
    axes.imshow(shares, vmin=0, vmax=1, cmap="cividis", aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    if with_numbers:
        for (row, column), share in np.ndenumerate(shares):
            color = "white" if share < DARK else "black"
            axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=color, size=7)
