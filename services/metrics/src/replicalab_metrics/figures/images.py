"""The image grid: every row one real image, every column one ``t_re``, the noise shared."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replicalab.storage.image_sets import ImageSet
from replicalab_metrics.figures.curves import spread_evenly
from replicalab_metrics.figures.style import GREY, WIDTH_INCHES, figure_style, new_figure

MAX_ROWS, MAX_COLUMNS = 12, 11
CELL_PIXELS = 96
"""Least side of a cell; images are enlarged by whole factors, pixels stay pixels."""

GAP_SHARE = 0.08
LABEL_INCHES = 0.75
"""Room for row labels, and for column heads."""

Pixels = npt.NDArray[np.uint8]


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
        _draw(axes, _canvas(columns, _cell(real)), heads, labels)
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
    return [_rgb(images.images[places[index]]) if index in places else None for _, index in chosen]


def _rgb(image: Pixels) -> Pixels:
    """Grey images get three channels."""
    return np.broadcast_to(image, (*image.shape[:2], 3)) if image.shape[2] == 1 else image


def _cell(images: ImageSet) -> tuple[int, int]:
    """(height, width) of an image enlarged by the least whole factor that is large enough."""
    height, width = images.images.shape[1:3]
    factor = -(-CELL_PIXELS // max(height, width))
    return height * factor, width * factor


def _canvas(columns: list[list[Pixels | None]], cell: tuple[int, int]) -> Pixels:
    """All images on white, gaps between them."""
    pitch_y, pitch_x = (round(side * (1 + GAP_SHARE)) for side in cell)
    canvas = np.full((pitch_y * len(columns[0]), pitch_x * len(columns), 3), 255, dtype=np.uint8)
    for x, column in enumerate(columns):
        for y, image in enumerate(column):
            if image is not None:
                factors = (cell[0] // image.shape[0], cell[1] // image.shape[1])
                enlarged = np.repeat(np.repeat(image, factors[0], axis=0), factors[1], axis=1)
                top, left = pitch_y * y, pitch_x * x
                canvas[top : top + enlarged.shape[0], left : left + enlarged.shape[1]] = enlarged
    return canvas


def _draw(axes: Axes, canvas: Pixels, heads: list[str], labels: list[str]) -> None:
    axes.imshow(canvas, interpolation="none", aspect="equal")
    gap = GAP_SHARE / (1 + GAP_SHARE)
    pitch_y, pitch_x = canvas.shape[0] / len(labels), canvas.shape[1] / len(heads)
    middles_x = (np.arange(len(heads)) + (1 - gap) / 2) * pitch_x
    middles_y = (np.arange(len(labels)) + (1 - gap) / 2) * pitch_y
    axes.xaxis.set_ticks_position("top")
    axes.set_xticks(middles_x, labels=heads)
    axes.set_yticks(middles_y, labels=labels)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.annotate(
        "$t_{re}$\n$\\sigma$",
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(-8, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=GREY,
    )
