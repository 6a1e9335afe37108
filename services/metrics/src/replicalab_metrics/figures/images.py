"""The image grid: every row one real image, every column one ``t_re``, the noise shared."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from replicalab.storage.image_sets import ImageSet
from replicalab_metrics.figures.curves import spread_evenly
from replicalab_metrics.figures.grids import Pixels, cell_size, draw_grid, grid_canvas, rgb
from replicalab_metrics.figures.style import WIDTH_INCHES, figure_style, new_figure

MAX_ROWS, MAX_COLUMNS = 12, 11
LABEL_INCHES = 0.75
"""Room for row labels, and for column heads."""


def draw_image_grid(
    real: ImageSet, reconstructed: Mapping[int, ImageSet], sigmas: Mapping[int, float]
) -> Figure:
    """The first image of each class, real and at every ``t_re``.

    Args:
        real: Training images.
        reconstructed: Their reconstructions by ``t_re``; sets that lack an image leave it white.
        sigmas: Start noise level by ``t_re``.
    """
    chosen = first_of_each_class(real)
    is_cut = len(chosen) > MAX_ROWS
    chosen = spread_evenly(chosen, MAX_ROWS)
    steps = spread_evenly(sorted(step for step in reconstructed if step > 0), MAX_COLUMNS - 1)
    columns = [_column(real, chosen), *(_column(reconstructed[step], chosen) for step in steps)]
    heads = ["0 (real)\n0", *(f"{step}\n{sigmas[step]:.3g}" for step in steps)]
    labels = [f"class {label}" for label, _ in chosen]
    note = "uncurated: first image of each class" + (f" ({MAX_ROWS} shown)" if is_cut else "")
    with figure_style():
        cell_inches = (WIDTH_INCHES - LABEL_INCHES) / len(columns)
        figure = new_figure(cell_inches * len(chosen) + LABEL_INCHES)
        axes = figure.add_subplot()
        draw_grid(axes, grid_canvas(columns, cell_size(real)), heads, labels)
        axes.set_title(f"{note}; the noise of an image is the same in every column", pad=6)
    return figure


def first_of_each_class(images: ImageSet) -> list[tuple[int, int]]:
    """(label, index in its split) of the first image of every class, by label."""
    order = np.argsort(images.indices, kind="stable")
    labels, places = np.unique(images.labels[order], return_index=True)
    return [
        (int(label), int(images.indices[order[place]]))
        for label, place in zip(labels, places, strict=True)
    ]


def _column(images: ImageSet, chosen: list[tuple[int, int]]) -> list[Pixels | None]:
    """The chosen images as RGB; None where the set has no such image."""
    places = {int(index): place for place, index in enumerate(images.indices)}
    return [rgb(images.images[places[index]]) if index in places else None for _, index in chosen]
