"""Mean and covariance of features, gathered in float64 from batches that may come in any order."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Float, Float64
from scipy.linalg import blas

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.tiles import row_blocks

BLOCK_ROWS = 1024
"""Samples converted to float64 at a time."""

MIRRORED_ROWS = 256
"""Of a triangle, turned over at a time: few enough to stay in the cache."""


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
        n = float(len(features) if weights is None else weights.sum())
        if n <= 0:
            raise UnmeasurableInput("The set holds no samples.")
        mean = _sum(features, weights) / n
        return cls(n, mean, _scatter(features, weights, mean))

    @classmethod
    def merged(cls, parts: Iterable["Moments"]) -> "Moments":
        """Moments of all parts together, holding one part at a time."""
        rest = iter(parts)
        first = next(rest, None)
        if first is None:
            raise UnmeasurableInput("The set holds no samples.")
        return reduce(cls.merge, rest, first)

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets together (Chan, Golub & LeVeque 1979, eq. 2.1)."""
        n = self.n + other.n
        gap = other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(gap, gap) * (self.n * other.n / n)
        return Moments(n, self.mean + gap * (other.n / n), scatter)

    @property
    def covariance(self) -> Float64[np.ndarray, "dim dim"]:
        """Unbiased sample covariance; needs two samples."""
        return self.scatter / self._degrees_of_freedom

    @property
    def total_variance(self) -> float:
        """Trace of the covariance; needs two samples."""
        return float(np.trace(self.scatter)) / self._degrees_of_freedom

    @property
    def _degrees_of_freedom(self) -> float:
        if self.n < 2:
            raise UnmeasurableInput("A covariance needs at least two samples.")
        return self.n - 1


def _sum(
    features: Float[np.ndarray, "sample dim"], weights: Float64[np.ndarray, " sample"] | None
) -> Float64[np.ndarray, " dim"]:
    total = np.zeros(features.shape[1])
    for rows in row_blocks(len(features), BLOCK_ROWS):
        check_finite(features[rows], "features")
        if weights is None:
            total += features[rows].sum(axis=0, dtype=np.float64)
        else:
            total += weights[rows] @ features[rows].astype(np.float64)
    return total


def _scatter(
    features: Float[np.ndarray, "sample dim"],
    weights: Float64[np.ndarray, " sample"] | None,
    mean: Float64[np.ndarray, " dim"],
) -> Float64[np.ndarray, "dim dim"]:
    """Products of deviations; only one triangle is computed, which is half the work."""
    scatter = np.zeros((len(mean), len(mean)), order="F")
    buffer = np.empty((min(BLOCK_ROWS, len(features)), len(mean)))
    for rows in row_blocks(len(features), BLOCK_ROWS):
        block = features[rows]
        deviations = np.subtract(block, mean, out=buffer[: len(block)])
        if weights is not None:
            deviations *= np.sqrt(weights[rows])[:, None]
        scatter = blas.dsyrk(1.0, deviations.T, beta=1.0, c=scatter, lower=True, overwrite_c=True)
    for rows in row_blocks(len(mean), MIRRORED_ROWS):
        scatter[rows, rows] = np.tril(scatter[rows, rows]) + np.tril(scatter[rows, rows], -1).T
        scatter[rows, rows.stop :] = scatter[rows.stop :, rows].T
    return scatter
