"""How many balls hold a sample, and how many samples a ball holds, exactly."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from replicalab_metrics.measures.tiles import Frame, Tile, exact_squared, pairs_where, row_blocks


@dataclass(frozen=True, slots=True)
class BallCounts:
    """Memberships of samples in closed balls around centres.

    Attributes:
        balls: How many balls hold each sample.
        samples: How many samples each ball holds.
    """

    balls: Int[np.ndarray, " sample"]
    samples: Int[np.ndarray, " centre"]

    @classmethod
    def none(cls, samples: int, centres: int) -> "BallCounts":
        """Counts of nothing yet."""
        return cls(np.zeros(samples, dtype=np.int64), np.zeros(centres, dtype=np.int64))

    def add(self, samples: Int[np.ndarray, " pair"], centres: Int[np.ndarray, " pair"]) -> None:
        """Count pairs of a sample and a ball that holds it."""
        self.balls[:] += np.bincount(samples, minlength=len(self.balls))
        self.samples[:] += np.bincount(centres, minlength=len(self.samples))


def count_memberships(
    samples: Float[np.ndarray, "sample dim"],
    centres: Float[np.ndarray, "centre dim"],
    squared_radii: Float64[np.ndarray, " centre"],
) -> BallCounts:
    """Which of ``samples`` lie in the balls around ``centres``.

    Raises:
        UnmeasurableInput: A set is empty or not finite.
    """
    counts = BallCounts.none(len(samples), len(centres))
    for near in _tiles(samples, centres):
        counts.add(*near.within(squared_radii[near.tile.right.rows]))
    return counts


def count_mutual_memberships(
    fake: Float[np.ndarray, "fake dim"],
    real: Float[np.ndarray, "real dim"],
    squared_radii_fake: Float64[np.ndarray, " fake"],
    squared_radii_real: Float64[np.ndarray, " real"],
) -> tuple[BallCounts, BallCounts]:
    """``fake`` in balls around ``real``, and ``real`` in balls around ``fake``, in one pass."""
    fake_in_real = BallCounts.none(len(fake), len(real))
    real_in_fake = BallCounts.none(len(real), len(fake))
    for near in _tiles(fake, real):
        fake_in_real.add(*near.within(squared_radii_real[near.tile.right.rows]))
        fakes, reals = near.within(squared_radii_fake[near.tile.left.rows, None])
        real_in_fake.add(reals, fakes)
    return fake_in_real, real_in_fake


@dataclass(frozen=True, slots=True)
class _NearPairs:
    """A tile of distances, and the sets whose samples it compares."""

    left: Float[np.ndarray, "left dim"]
    right: Float[np.ndarray, "right dim"]
    frame: Frame
    tile: Tile

    def within(
        self, squared_radii: Float64[np.ndarray, "..."]
    ) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
        """Pairs no further apart than the radius of their row, (row, 1), or column, (column,)."""
        radii = squared_radii / self.frame.unit**2
        rounded_up = np.nextafter(radii.astype(np.float32), np.float32(np.inf))
        rows, columns = pairs_where(self.tile.lower <= rounded_up)
        limits = np.broadcast_to(radii, self.tile.lower.shape)[rows, columns]
        upper = self.tile.lower[rows, columns] + self.tile.widths(rows, columns)
        is_within: Bool[np.ndarray, " pair"] = upper <= limits
        is_open = (~is_within).nonzero()[0]
        rows += self.tile.left.rows.start
        columns += self.tile.right.rows.start
        exact = exact_squared(self.left, rows[is_open], self.right, columns[is_open])
        exact_limits = limits[is_open] * self.frame.unit**2  # a power of two: nothing is rounded
        is_within[is_open] = exact <= exact_limits
        return rows[is_within], columns[is_within]


def _tiles(
    left: Float[np.ndarray, "left dim"], right: Float[np.ndarray, "right dim"]
) -> Iterator[_NearPairs]:
    frame = Frame.around(left, right)
    for rows in row_blocks(len(left)):
        block = frame.block(left, rows)
        for columns in row_blocks(len(right)):
            yield _NearPairs(left, right, frame, frame.tile(block, frame.block(right, columns)))
