"""Measured values against ``t_re``, the axis every curve of a study shares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab_metrics.figures.style import GREY

MAX_TICKS = 11

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Curve:
    """One measure of every set, by rising ``t_re``.

    Attributes:
        points: At least one measurement; each has a ``t_re``.
    """

    points: tuple[Measurement, ...]

    @property
    def t_re(self) -> list[int]:
        return [point.t_re for point in self.points if point.t_re is not None]

    @property
    def sigmas(self) -> list[float]:
        """Noise level (std, images in [-1, 1]) every set started from."""
        return [point.sigma or 0.0 for point in self.points]

    @property
    def values(self) -> list[float]:
        return [point.value for point in self.points]

    @property
    def margins(self) -> npt.NDArray[np.float64]:
        """Lengths of the interval's arms, (2, point): down, up; zero where there is none."""
        return np.array(
            [
                (point.value - point.interval.low, point.interval.high - point.value)
                if point.interval
                else (0.0, 0.0)
                for point in self.points
            ]
        ).T.clip(min=0)

    @property
    def has_intervals(self) -> bool:
        return all(point.interval for point in self.points)

    @property
    def sample_size(self) -> str:
        """How many samples stand behind each point, in words."""
        sizes = sorted({point.n for point in self.points})
        unit = str(self.points[0].n_unit)
        if sizes == [1]:
            return f"1 {unit.removesuffix('s')}"
        return f"{sizes[0]:,} {unit}" if len(sizes) == 1 else f"{sizes[0]:,}-{sizes[-1]:,} {unit}"


def curve_of(
    measurements: Iterable[Measurement],
    name: MeasurementName,
    reference: Reference | None = None,
    part: str | None = None,
) -> Curve | None:
    """The measurements called ``name`` against ``reference``; None where there are none.

    Of all images, or of a ``part`` of them.
    """
    points = [
        each
        for each in measurements
        if (each.name, each.reference, each.part) == (name, reference, part)
        and each.t_re is not None
    ]
    points.sort(key=lambda each: each.t_re or 0)
    return Curve(tuple(points)) if points else None


def draw_curve(
    axes: Axes,
    curve: Curve,
    *,
    label: str,
    color: str,
    line: str,
    marker: str,
    shift_share: float = 0.0,
) -> None:
    """Points with the bars of their intervals, joined; dashed lines have open markers.

    ``shift_share`` moves the points by a share of the axis, so that bars stand side by side.
    """
    shift = shift_share * (curve.t_re[-1] - curve.t_re[0])
    axes.errorbar(
        [step + shift for step in curve.t_re],
        curve.values,
        yerr=curve.margins if curve.has_intervals else None,
        label=label,
        color=color,
        linestyle=line,
        marker=marker,
        markerfacecolor=color if line == "-" else "white",
        elinewidth=1,
    )


def label_t_re(bottom: Axes, top: Axes, curve: Curve) -> None:
    """Steps below ``bottom``, the noise levels they start from above ``top``."""
    ticks = spread_evenly(list(zip(curve.t_re, curve.sigmas, strict=True)), MAX_TICKS)
    steps = [step for step, _ in ticks]
    bottom.set_xticks(steps, labels=[str(step) for step in steps])
    bottom.set_xlabel("$t_{re}$ (remaining reverse steps; 0 is the real set)")
    above = top.secondary_xaxis("top")
    above.set_xticks(steps, labels=[f"{sigma:.3g}" for _, sigma in ticks])
    above.tick_params(labelsize=8, colors=GREY)
    above.set_xlabel(r"start noise level $\sigma$ (std, pixels in [-1, 1])", color=GREY)


def spread_evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most ``most`` of ``items``, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    chosen = np.linspace(0, len(items) - 1, most).round().astype(int)
    return [items[index] for index in chosen]
