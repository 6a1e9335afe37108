"""Exact nearest-neighbour radii and ball membership at the speed of a matrix product.

Squared distances come from one float32 product per block of rows, |x|^2 + |y|^2 - 2 x.y, whose
rounding error is bounded. Whatever that bound leaves open is computed again in float64 from the
coordinates themselves, so that radii and memberships are those of the float64 definition. Memory
is bounded by ``BLOCK_ENTRIES``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite

BLOCK_ENTRIES = 2**21
"""Squared distances held at a time (and coordinates in the float64 re-check)."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of a distance matrix, each entry no further from the truth than its row's error.

    Attributes:
        rows: Which rows.
        squared: Squared distances over ``unit``.
        error: Over ``unit``, too.
        unit: Square of the largest coordinate, so that float32 neither overflows nor vanishes.
    """

    rows: slice
    squared: Float32[np.ndarray, "row sample"]
    error: Float32[np.ndarray, " row"]
    unit: float


def squared_radii(
    features: Float[np.ndarray, "sample dim"], k: int
) -> Float64[np.ndarray, " sample"]:
    """Squared distance of every sample to its ``k``-th nearest other sample of the set.

    Raises:
        UnmeasurableInput: The set has no ``k`` other samples, or is not finite.
    """
    if len(features) <= k:
        raise UnmeasurableInput(
            f"Neighbour {k} of a sample needs a set of at least {k + 1}, not {len(features)}."
        )
    points = features.astype(np.float64)
    radii = np.empty(len(points))
    for block in _blocks(points, points):
        here = np.arange(block.rows.start, block.rows.stop)
        block.squared[here - block.rows.start, here] = np.inf
        nearest = np.partition(block.squared, k - 1, axis=1)[:, k - 1]
        is_candidate = block.squared <= (nearest + 2 * block.error)[:, None]
        rows, columns = is_candidate.nonzero()
        exact = _exact_squared(points, here[rows], points, columns)
        by_row_then_distance = np.lexsort((exact, rows))
        first_of_row = np.searchsorted(rows, np.arange(len(here)))
        radii[here] = exact[by_row_then_distance[first_of_row + k - 1]]
    return radii


def is_in_any_ball(
    features: Float[np.ndarray, "sample dim"],
    centres: Float[np.ndarray, "centre dim"],
    squared_radii: Float64[np.ndarray, " centre"],
) -> Bool[np.ndarray, " sample"]:
    """Whether a sample lies in at least one closed ball around ``centres``."""
    points, middles = features.astype(np.float64), centres.astype(np.float64)
    inside = np.zeros(len(points), dtype=np.bool_)
    for block in _blocks(points, middles):
        thresholds = squared_radii / block.unit
        surely_inside = (block.squared <= thresholds - block.error[:, None]).any(axis=1)
        inside[block.rows] = surely_inside
        open_rows = (~surely_inside).nonzero()[0]
        is_near = block.squared[open_rows] <= thresholds + block.error[open_rows, None]
        rows, columns = is_near.nonzero()
        samples = open_rows[rows] + block.rows.start
        exact = _exact_squared(points, samples, middles, columns)
        inside[samples[exact <= squared_radii[columns]]] = True
    return inside


def _blocks(
    points: Float64[np.ndarray, "sample dim"], others: Float64[np.ndarray, "other dim"]
) -> Iterator[_Block]:
    """The distance matrix of ``points`` against ``others``, some rows at a time."""
    check_finite(points, "features")
    check_finite(others, "features")
    centre = others.mean(axis=0)  # small norms, small rounding
    left, right = points - centre, others - centre
    largest = max(np.abs(left).max(), np.abs(right).max()) or 1.0
    left, right = (left / largest).astype(np.float32), (right / largest).astype(np.float32)
    left_norms, right_norms = _squared_norms(left), _squared_norms(right)
    # Rounding of the product, the norms, their sum and the coordinates (Higham 2002, sec. 3.1)
    # is at most (dim / 2 + 9) eps (|x|^2 + |y|^2).
    relative_error = np.float32((left.shape[1] + 20) * np.finfo(np.float32).eps)
    errors = relative_error * (left_norms + right_norms.max())
    step = max(BLOCK_ENTRIES // len(others), 1)
    for first in range(0, len(points), step):
        rows = slice(first, min(first + step, len(points)))
        squared = left[rows] @ right.T
        squared *= -2
        squared += left_norms[rows, None]
        squared += right_norms
        yield _Block(rows, squared, errors[rows], float(largest) ** 2)


def _squared_norms(points: Float32[np.ndarray, "sample dim"]) -> Float32[np.ndarray, " sample"]:
    norms: Float32[np.ndarray, " sample"] = np.einsum(
        "ij,ij->i", points, points, dtype=np.float64
    ).astype(np.float32)
    return norms


def _exact_squared(
    points: Float64[np.ndarray, "sample dim"],
    rows: Int[np.ndarray, " pair"],
    others: Float64[np.ndarray, "other dim"],
    columns: Int[np.ndarray, " pair"],
) -> Float64[np.ndarray, " pair"]:
    """Squared distances of chosen pairs by the definition, in float64."""
    exact = np.empty(len(rows))
    step = max(BLOCK_ENTRIES // points.shape[1], 1)
    for first in range(0, len(rows), step):
        pairs = slice(first, first + step)
        gaps = points[rows[pairs]] - others[columns[pairs]]
        exact[pairs] = np.square(gaps, out=gaps).sum(axis=1)
    return exact
