"""Squared distances of two sets, a tile at a time, at the speed of a matrix product.

A tile comes from one float32 product, |x|^2 + |y|^2 - 2 x.y, whose rounding error is bounded, and
holds the lower ends of the intervals in which the distances lie. Whatever those intervals leave
open is computed again in float64 from the coordinates themselves (``exact_squared``), so that what
is decided by distances is decided as in float64. Memory is bounded by ``TILE_ROWS``, whatever the
sizes of the sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from replicalab_metrics.measures.inputs import UnmeasurableInput

TILE_ROWS = 2048
"""Most samples of either set in a tile."""

PAIR_COORDINATES = 2**20
"""Coordinates held at a time when pairs are computed again in float64."""

UNDERFLOW = 2.0**-100
"""More than products of float32 coordinates can lose by vanishing, over all dimensions."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some samples of a set in the coordinates of a frame.

    Attributes:
        rows: Which samples.
        points: Their coordinates.
        squared_norms: Of ``points``.
    """

    rows: slice
    points: Float32[np.ndarray, "sample dim"]
    squared_norms: Float32[np.ndarray, " sample"]


@dataclass(frozen=True, slots=True)
class Tile:
    """Distances between two blocks, squared, in squared units of the frame.

    Attributes:
        left: Samples of the rows.
        right: Samples of the columns.
        lower: No distance is less.
        error_share: No distance exceeds ``lower`` by more than this share of both squared norms
            and ``UNDERFLOW``.
    """

    left: Block
    right: Block
    lower: Float32[np.ndarray, "row column"]
    error_share: float

    def widths(
        self, rows: Int[np.ndarray, " pair"], columns: Int[np.ndarray, " pair"]
    ) -> Float32[np.ndarray, " pair"]:
        """By how much distances may exceed ``lower``."""
        norms = self.left.squared_norms[rows] + self.right.squared_norms[columns]
        widths: Float32[np.ndarray, " pair"] = norms * np.float32(self.error_share) + np.float32(
            UNDERFLOW
        )
        return widths


@dataclass(frozen=True, slots=True)
class Frame:
    """Coordinates in which float32 neither overflows nor vanishes and rounds little.

    Attributes:
        origin: Amid the samples, as a float32 number each.
        unit: A power of two that no coordinate exceeds, counted from ``origin``.
    """

    origin: Float64[np.ndarray, " dim"]
    unit: float

    @classmethod
    def around(cls, *sets: Float[np.ndarray, "_ dim"]) -> "Frame":
        """The frame of all samples of ``sets``.

        Raises:
            UnmeasurableInput: No samples, or features that are not finite.
        """
        if not all(each.size for each in sets):
            raise UnmeasurableInput("The set holds no samples.")
        low = np.min([each.min(axis=0) for each in sets], axis=0).astype(np.float64)
        high = np.max([each.max(axis=0) for each in sets], axis=0).astype(np.float64)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise UnmeasurableInput("The features hold values that are not finite.")
        means = [each.mean(axis=0, dtype=np.float64) for each in sets]
        origin = np.mean(means, axis=0).astype(np.float32).astype(np.float64)
        furthest = float(max((high - origin).max(), (origin - low).max()))
        unit = float(2.0 ** np.ceil(np.log2(furthest))) if furthest > 0 else 1.0
        return cls(origin, unit)

    def block(self, features: Float[np.ndarray, "sample dim"], rows: slice) -> Block:
        """Samples ``rows`` of ``features`` in this frame."""
        chosen = features[rows]
        scale, origin = chosen.dtype.type(1 / self.unit), self.origin / self.unit
        scaled = chosen * scale
        scaled -= origin.astype(chosen.dtype)
        points = scaled.astype(np.float32, copy=False)
        norms = np.einsum("ij,ij->i", points, points, dtype=np.float64)
        return Block(rows, points, norms.astype(np.float32))

    def tile(self, left: Block, right: Block) -> Tile:
        """Distances between the samples of two blocks."""
        # Rounding of the product, the norms, their sums and the coordinates (Higham 2002,
        # sec. 3.1) is at most (dim / 2 + 9) eps (|x|^2 + |y|^2).
        error = np.float32((left.points.shape[1] / 2 + 12) * np.finfo(np.float32).eps)
        share = np.float32(1) - error
        lower = left.points @ right.points.T  # of a block with itself: half the work
        lower *= -2
        lower += (left.squared_norms * share - np.float32(UNDERFLOW / 2))[:, None]
        lower += right.squared_norms * share
        return Tile(left, right, lower, float(2 * error))


def pairs_where(
    is_chosen: Bool[np.ndarray, "row column"],
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Rows and columns of what is true: ``nonzero``, quick where little is."""
    rows, columns = np.divmod(is_chosen.ravel().nonzero()[0], is_chosen.shape[1])
    return rows, columns


def row_blocks(rows: int, most: int | None = None) -> Iterator[slice]:
    """Near-equal runs of at most ``most`` of ``rows`` rows, by default ``TILE_ROWS``."""
    number = -(-rows // (most or TILE_ROWS))
    bounds = [rows * index // number for index in range(number + 1)]
    return (slice(first, end) for first, end in pairwise(bounds))


def exact_squared(
    left: Float[np.ndarray, "left dim"],
    rows: Int[np.ndarray, " pair"],
    right: Float[np.ndarray, "right dim"],
    columns: Int[np.ndarray, " pair"],
) -> Float64[np.ndarray, " pair"]:
    """Squared distances of chosen pairs by the definition, in float64."""
    exact = np.empty(len(rows))
    step = max(PAIR_COORDINATES // left.shape[1], 1)
    for first in range(0, len(rows), step):
        pairs = slice(first, first + step)
        gaps = left[rows[pairs]].astype(np.float64)
        gaps -= right[columns[pairs]]
        exact[pairs] = np.square(gaps, out=gaps).sum(axis=1)
    return exact
