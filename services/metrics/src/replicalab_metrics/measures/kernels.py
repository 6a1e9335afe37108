"""The cubic kernel of two sets, (x.y / dim + 1)^3, a strip at a time.

Products are of centred features, in the precision of the features, so that they round little;
their common part, the cube and every sum are in float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from replicalab_metrics.measures.tiles import row_blocks

STRIP_ROWS = 32
"""Rows computed at a time: with the columns of a tile, what fits a processor's cache."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of the kernel matrix against some columns.

    Attributes:
        rows: Which samples of the left set.
        columns: Which samples of the right set.
        kernel: Changes when the next strip is asked for. Zero between a sample and itself where
            a set meets itself.
        is_mirrored: It stands for its transpose as well.
    """

    rows: slice
    columns: slice
    kernel: Float64[np.ndarray, "row column"]
    is_mirrored: bool


@dataclass(frozen=True, slots=True)
class Centred:
    """A set about a centre that it shares with those it meets.

    x.y = (x - c).(y - c) + c.x + c.y - c.c, and half of the last is counted with either sample.

    Attributes:
        features: As they came.
        centre: What is subtracted, in the precision of the features.
        offsets: What every sample adds to x.y / dim + 1 beyond the product of centred samples.
    """

    features: Float[np.ndarray, "sample dim"]
    centre: Float[np.ndarray, " dim"]
    offsets: Float64[np.ndarray, " sample"]

    @classmethod
    def of(
        cls, features: Float[np.ndarray, "sample dim"], centre: Float64[np.ndarray, " dim"]
    ) -> "Centred":
        """``features`` about ``centre`` as their precision rounds it."""
        rounded = centre.astype(features.dtype)
        exact = rounded.astype(np.float64)
        parts = [features[rows] @ exact for rows in row_blocks(len(features))]
        common = (np.concatenate(parts) - exact @ exact / 2) / features.shape[1]
        return cls(features, rounded, common + 0.5)

    def take(self, samples: Int[np.ndarray, " taken"]) -> "Centred":
        """Only these samples."""
        return Centred(self.features[samples], self.centre, self.offsets[samples])

    def block(self, rows: slice) -> "_Block":
        """A run of samples, centred."""
        return _Block(rows, self.features[rows] - self.centre, self.offsets[rows])

    def __len__(self) -> int:
        return len(self.features)


def strips_within(samples: Centred) -> Iterator[Strip]:
    """The kernel of a set with itself: tiles on the diagonal, and mirrored ones above it."""
    blocks = list(row_blocks(len(samples)))
    for number, rows in enumerate(blocks):
        block = samples.block(rows)
        for strip in _strips(block, block, is_mirrored=False):
            here = np.arange(strip.rows.start, strip.rows.stop)
            strip.kernel[here - strip.rows.start, here - rows.start] = 0
            yield strip
        for columns in blocks[number + 1 :]:
            yield from _strips(block, samples.block(columns), is_mirrored=True)


def strips_between(left: Centred, right: Centred) -> Iterator[Strip]:
    """The kernel of two sets."""
    for rows in row_blocks(len(left)):
        block = left.block(rows)
        for columns in row_blocks(len(right)):
            yield from _strips(block, right.block(columns), is_mirrored=False)


def paired_strips(real: Centred, fake: Centred) -> Iterator[Strip]:
    """k(x, x') + k(y, y') - k(x, y') - k(y, x') of pairs (x, y), as ``strips_within``."""
    runs = list(row_blocks(len(real)))
    for number, rows in enumerate(runs):
        left = real.block(rows), fake.block(rows)
        for columns in runs[number:]:
            is_mirrored = columns != rows
            right = (real.block(columns), fake.block(columns)) if is_mirrored else left
            kernels = [
                _strips(one, other, is_mirrored=is_mirrored) for one in left for other in right
            ]
            for alike, across, back, also_alike in zip(*kernels, strict=True):
                alike.kernel[...] += also_alike.kernel
                alike.kernel[...] -= across.kernel
                alike.kernel[...] -= back.kernel
                if not is_mirrored:
                    here = np.arange(alike.rows.start, alike.rows.stop)
                    alike.kernel[here - alike.rows.start, here - rows.start] = 0
                yield alike


@dataclass(frozen=True, slots=True)
class _Block:
    """Some samples of a centred set."""

    rows: slice
    points: Float[np.ndarray, "sample dim"]
    offsets: Float64[np.ndarray, " sample"]


def _strips(left: _Block, right: _Block, *, is_mirrored: bool) -> Iterator[Strip]:
    products = left.points @ right.points.T
    scale = 1 / left.points.shape[1]
    bases = np.empty((min(STRIP_ROWS, len(products)), products.shape[1]))
    cubes = np.empty_like(bases)
    for first in range(0, len(products), STRIP_ROWS):
        strip = products[first : first + STRIP_ROWS]
        base, cube = bases[: len(strip)], cubes[: len(strip)]
        np.multiply(strip, scale, out=base, dtype=np.float64)
        base += left.offsets[first : first + STRIP_ROWS, None]
        base += right.offsets
        np.multiply(base, base, out=cube)
        cube *= base
        begin = left.rows.start + first
        yield Strip(slice(begin, begin + len(strip)), right.rows, cube, is_mirrored)
