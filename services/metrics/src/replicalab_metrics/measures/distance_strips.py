"""Squared distances of two sets, a strip of rows at a time, for what sums over all of them.

From float32 products, and from float64 coordinates where a product cancels. Unlike ``tiles`` it
gives values and no bounds: sums forgive what decisions by distance do not.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Float64

from replicalab_metrics.measures.tiles import exact_squared, pairs_where

STRIP_ROWS = 256

NEAR_SHARE = np.float32(0.25)
"""Of both squared norms: smaller distances are what is left of larger numbers in float32."""

MOST_NEAR_SHARE = 0.01
"""Where more pairs are near, one float64 product is quicker than computing each of them again."""

FEWEST_SINGLE_DIMENSIONS = 256
"""With fewer a product costs little beside the rest, and is taken in float64."""

LARGEST_NORM = 1e30
"""Squared; beyond it float32 products could overflow."""

Samples = Float64[np.ndarray, "sample dim"]
Centres = Float64[np.ndarray, "centre dim"]
Strip = Float32[np.ndarray, "strip centre"]


def squared_distances(samples: Samples, centres: Centres) -> Iterator[tuple[slice, Strip]]:
    """Which samples, and their squared distances to all centres, some rows at a time.

    Rounded to float32 and hardly further off: a float32 product errs by little of the squared
    norms, and what is much smaller than they are is computed again.
    """
    norms = [np.einsum("ij,ij->i", each, each) for each in (samples, centres)]
    is_single = samples.shape[1] >= FEWEST_SINGLE_DIMENSIONS
    is_single = is_single and max(float(each.max()) for each in norms) < LARGEST_NORM
    rounded = centres.astype(np.float32) if is_single else None
    for first in range(0, len(samples), STRIP_ROWS):
        rows = slice(first, first + STRIP_ROWS)
        sums = norms[0][rows, None] + norms[1]
        squared = None
        if rounded is not None:
            squared = _single_squared(samples[rows], centres, rounded, sums.astype(np.float32))
        if squared is None:  # nor are the next rows worth the attempt
            rounded = None
            squared = (sums - 2 * (samples[rows] @ centres.T)).clip(min=0).astype(np.float32)
        yield rows, squared


def _single_squared(
    samples: Float64[np.ndarray, "strip dim"],
    centres: Centres,
    rounded: Float32[np.ndarray, "centre dim"],
    sums: Strip,
) -> Strip | None:
    """Squared distances from a float32 product, near ones by their definition in float64.

    Args:
        samples: Some rows.
        centres: All of them.
        rounded: ``centres``.
        sums: Of the squared norms of every pair.

    Returns:
        None where so many are near that a float64 product is quicker.
    """
    squared: Strip = samples.astype(np.float32) @ rounded.T
    squared *= -2
    squared += sums
    sums *= NEAR_SHARE
    near = pairs_where(squared < sums)
    if len(near[0]) > MOST_NEAR_SHARE * squared.size:
        return None
    squared[near] = exact_squared(samples, near[0], centres, near[1])
    return squared
