"""Grad-CAM heat maps over real test images: every row one image, every column one model."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab_metrics.figures.curves import spread_evenly
from replicalab_metrics.figures.grids import (
    Pixels,
    cell_size,
    draw_grid,
    grid_canvas,
    mark_cell,
    rgb,
)
from replicalab_metrics.figures.images import (
    LABEL_INCHES,
    MAX_COLUMNS,
    MAX_ROWS,
    first_of_each_class,
)
from replicalab_metrics.figures.style import WIDTH_INCHES, figure_style, new_figure
from replicalab_metrics.measures.heat_maps import are_constant, enlarged

HEAT_COLOURS = "inferno"
"""From black to yellow, evenly to the eye and rising in lightness, so that grey print keeps it."""

MOST_CELL_INCHES = 0.9
"""So that few columns do not make a page of every grid."""

HEAT_SHARE = 0.5
"""Of the heat in every pixel; the rest is the image."""


def draw_heat_maps(
    images: ImageSet, found: Mapping[int, HeatMaps], sigmas: Mapping[int, float]
) -> Figure:
    """The first test image of each class, plain and under the heat map of every model.

    A map is scaled by its own maximum. A wrong answer stands in its cell, and so does that a map
    is constant.

    Args:
        images: Real test images.
        found: Heat maps of all of them by the ``t_re`` of the set their model learnt from; 0 is
            the real set.
        sigmas: Start noise level by ``t_re``.
    """
    chosen = first_of_each_class(images)
    is_cut = len(chosen) > MAX_ROWS
    chosen = spread_evenly(chosen, MAX_ROWS)
    steps = spread_evenly(sorted(found), MAX_COLUMNS - 1)
    indices = [index for _, index in chosen]
    plain = [rgb(images.images[_place(images.indices, index)]) for index in indices]
    columns = [plain, *(_column(plain, found[step], indices) for step in steps)]
    note = "uncurated: first test image of each class" + (f" ({MAX_ROWS} shown)" if is_cut else "")
    with figure_style():
        cell_inches = min((WIDTH_INCHES - LABEL_INCHES) / len(columns), MOST_CELL_INCHES)
        figure = new_figure(cell_inches * len(chosen) + LABEL_INCHES)
        axes, cell = figure.add_subplot(), cell_size(images)
        draw_grid(
            axes,
            grid_canvas(columns, cell),
            ["image\n", *(_head(step, sigmas) for step in steps)],
            [f"class {label}" for label, _ in chosen],
        )
        for column, step in enumerate(steps, start=1):
            for row, index in enumerate(indices):
                mark_cell(axes, cell, row, column, _remark(found[step], index))
        axes.set_title(f"{note}; half image, half heat from 0 (dark) to its maximum", pad=6)
    return figure


def _head(step: int, sigmas: Mapping[int, float]) -> str:
    return f"{step}\n{sigmas[step]:.3g}" if step else "0 (real)\n0"


def _column(plain: list[Pixels], found: HeatMaps, indices: list[int]) -> list[Pixels]:
    """The images, which have these indices, under the maps of one model."""
    return [
        _overlaid(image, found.maps[_place(found.indices, index)])
        for image, index in zip(plain, indices, strict=True)
    ]


def _overlaid(image: Pixels, heat_map: npt.NDArray[np.float32]) -> Pixels:
    """The image under its map, which is scaled by its own maximum."""
    (heat,) = enlarged(heat_map[None], image.shape[:2])
    scaled = heat / heat.max() if heat.max() > 0 else heat
    colours = 255 * mpl.colormaps[HEAT_COLOURS](scaled)[..., :3]
    mixed: Pixels = (HEAT_SHARE * colours + (1 - HEAT_SHARE) * image).round().astype(np.uint8)
    return mixed


def _remark(found: HeatMaps, index: int) -> str:
    """What stands in the cell of an image: a wrong answer, a map that shows no place."""
    place = _place(found.indices, index)
    words = []
    if found.predictions[place] != found.labels[place]:
        words.append(f"says {found.predictions[place]}")
    if are_constant(found.maps[[place]])[0]:
        words.append("no place")
    return "\n".join(words)


def _place(indices: npt.NDArray[np.int64], index: int) -> int:
    return int(np.flatnonzero(indices == index)[0])
