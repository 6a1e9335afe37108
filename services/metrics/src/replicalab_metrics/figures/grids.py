"""Grids of images: a row an image, a column a set; every cell enlarged by whole factors."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from replicalab.storage.image_sets import ImageSet
from replicalab_metrics.figures.style import GREY

CELL_PIXELS = 96
"""Least side of a cell; images are enlarged by whole factors, pixels stay pixels."""

GAP_SHARE = 0.08

Pixels = npt.NDArray[np.uint8]


def rgb(image: Pixels) -> Pixels:
    """Grey images get three channels."""
    return np.broadcast_to(image, (*image.shape[:2], 3)) if image.shape[2] == 1 else image


def cell_size(images: ImageSet) -> tuple[int, int]:
    """(height, width) of an image enlarged by the least whole factor that is large enough."""
    height, width = images.images.shape[1:3]
    factor = -(-CELL_PIXELS // max(height, width))
    return height * factor, width * factor


def grid_canvas(columns: Sequence[Sequence[Pixels | None]], cell: tuple[int, int]) -> Pixels:
    """All images on white, gaps between them; None leaves a cell white."""
    pitch_y, pitch_x = _pitch(cell)
    canvas = np.full((pitch_y * len(columns[0]), pitch_x * len(columns), 3), 255, dtype=np.uint8)
    for x, column in enumerate(columns):
        for y, image in enumerate(column):
            if image is not None:
                factors = (cell[0] // image.shape[0], cell[1] // image.shape[1])
                enlarged = np.repeat(np.repeat(image, factors[0], axis=0), factors[1], axis=1)
                top, left = pitch_y * y, pitch_x * x
                canvas[top : top + enlarged.shape[0], left : left + enlarged.shape[1]] = enlarged
    return canvas


def draw_grid(axes: Axes, canvas: Pixels, heads: list[str], labels: list[str]) -> None:
    """The canvas with the ``heads`` of its columns, ``t_re`` over sigma, and its rows' labels."""
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


def mark_cell(axes: Axes, cell: tuple[int, int], row: int, column: int, text: str) -> None:
    """Write into the lower left corner of a cell, on white; nothing for no text."""
    if not text:
        return
    pitch_y, pitch_x = _pitch(cell)
    axes.annotate(
        text,
        xy=(pitch_x * column, pitch_y * row + cell[0]),
        xytext=(2, 2),
        textcoords="offset points",
        ha="left",
        va="bottom",
        fontsize=7,
        bbox={"boxstyle": "square,pad=0.15", "fc": "white", "ec": "none"},
    )


def _pitch(cell: tuple[int, int]) -> tuple[int, int]:
    """From one cell to the next, down and across."""
    return round(cell[0] * (1 + GAP_SHARE)), round(cell[1] * (1 + GAP_SHARE))
