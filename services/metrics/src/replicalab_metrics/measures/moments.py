"""Mean and covariance of features, gathered in float64 from batches that may come in any order."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Float, Float64

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite

BLOCK_ROWS = 8192
"""Samples converted to float64 at a time."""


@dataclass(frozen=True, slots=True)
class Moments:
    """First and second moments of a set; moments of parts merge into those of the whole.

    Attributes:
        n: Samples seen, or the sum of their weights.
        mean: Their mean.
        scatter: Sum of outer products of their deviations from ``mean``.
    """

    n: float
    mean: Float64[np.ndarray, " dim"]
    scatter: Float64[np.ndarray, "dim dim"]

    @classmethod
    def of(
        cls,
        features: Float[np.ndarray, "sample dim"],
        weights: Float64[np.ndarray, " sample"] | None = None,
    ) -> "Moments":
        """Moments of a set in memory; raises ``UnmeasurableInput`` when empty or not finite.

        Args:
            features: One row a sample.
            weights: How often each sample counts; once by default.
        """
        counts = np.ones(len(features)) if weights is None else weights
        blocks = (slice(row, row + BLOCK_ROWS) for row in range(0, len(features), BLOCK_ROWS))
        return cls.merged(cls._of_block(features[rows], counts[rows]) for rows in blocks)

    @classmethod
    def merged(cls, parts: Iterable["Moments"]) -> "Moments":
        """Moments of all parts together, holding one part at a time."""
        rest = iter(parts)
        first = next(rest, None)
        if first is None:
            raise UnmeasurableInput("The set holds no samples.")
        return reduce(cls.merge, rest, first)

    @classmethod
    def _of_block(
        cls, block: Float[np.ndarray, "sample dim"], weights: Float64[np.ndarray, " sample"]
    ) -> "Moments":
        check_finite(block, "features")
        samples = block.astype(np.float64)  # a copy, to be changed
        n = float(weights.sum())
        mean = weights @ samples / n
        samples -= mean
        samples *= np.sqrt(weights)[:, None]
        return cls(n, mean, samples.T @ samples)  # one and the same array: half the work

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets together (Chan, Golub & LeVeque 1979, eq. 2.1)."""
        n = self.n + other.n
        gap = other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(gap, gap) * (self.n * other.n / n)
        return Moments(n, self.mean + gap * (other.n / n), scatter)

    @property
    def covariance(self) -> Float64[np.ndarray, "dim dim"]:
        """Unbiased sample covariance; needs two samples."""
        if self.n < 2:
            raise UnmeasurableInput("A covariance needs at least two samples.")
        return self.scatter / (self.n - 1)
