"""How figures look and how they become files: equal input gives equal bytes.

Colours are Okabe and Ito's, told apart by most colour-blind readers, and never the only
difference: marker, fill or dash differ too, so that print in grey stays readable.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLACK = "#000000"
GREY = "#767676"
BLUE = "#0072B2"
SKY = "#56B4E9"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILION = "#D55E00"

WIDTH_INCHES = 7.2
PNG_DPI = 160
SVG_RASTER_DPI = 130
"""Of the clouds of points inside an SVG; lines and text have no resolution."""

_SETTINGS: Mapping[Any, object] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titlecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "errorbar.capsize": 3,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8.5,
    "svg.hashsalt": "replicalab",
    "svg.fonttype": "path",
}


@dataclass(frozen=True, slots=True)
class RenderedFigure:
    """A figure as files."""

    svg: bytes
    png: bytes


@contextmanager
def figure_style() -> Iterator[None]:
    """Everything drawn or rendered inside looks like ReplicaLab, whatever a user configured."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def new_figure(height_inches: float) -> Figure:
    """An empty figure of the report's width; constrained layout keeps everything inside."""
    return Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")


def render(figure: Figure) -> RenderedFigure:
    """The figure as SVG and PNG, without dates or versions in them."""
    svg, png = io.BytesIO(), io.BytesIO()
    with figure_style():
        figure.savefig(
            svg, format="svg", dpi=SVG_RASTER_DPI, metadata={"Date": None, "Creator": None}
        )
        figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return RenderedFigure(svg.getvalue(), png.getvalue())


def place_legend_below(axes: Axes, *others: Axes, columns: int, title: str | None = None) -> None:
    """One legend for all ``axes`` under the figure, where it hides no data."""
    pairs = [axis.get_legend_handles_labels() for axis in (axes, *others)]
    handles = [handle for found, _ in pairs for handle in found]
    labels = [label for _, found in pairs for label in found]
    figure = axes.get_figure(root=True)
    if figure is not None:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=title)
