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
        n: Samples seen.
        mean: Their mean.
        scatter: Sum of outer products of their deviations from ``mean``.
    """

    n: int
    mean: Float64[np.ndarray, " dim"]
    scatter: Float64[np.ndarray, "dim dim"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "sample dim"]) -> "Moments":
        """Moments of a set in memory; raises ``UnmeasurableInput`` when empty or not finite."""
        return cls.of_batches(
            features[first : first + BLOCK_ROWS] for first in range(0, len(features), BLOCK_ROWS)
        )

    @classmethod
    def of_batches(cls, batches: Iterable[Float[np.ndarray, "_ _"]]) -> "Moments":
        """Moments of all batches together, holding one batch at a time."""
        parts = (cls._of_batch(batch) for batch in batches)
        first = next(parts, None)
        if first is None:
            raise UnmeasurableInput("The set holds no samples.")
        return reduce(cls.merge, parts, first)

    @classmethod
    def _of_batch(cls, batch: Float[np.ndarray, "sample dim"]) -> "Moments":
        check_finite(batch, "features")
        samples = batch.astype(np.float64)
        mean = samples.mean(axis=0)
        samples -= mean
        return cls(len(samples), mean, samples.T @ samples)

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets together (Chan, Golub & LeVeque 1979, eq. 2.1)."""
        n = self.n + other.n
        gap = other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(gap, gap) * (self.n * other.n / n)
        return Moments(n, self.mean + gap * (other.n / n), scatter)

    def without(self, part: "Moments") -> "Moments":
        """Moments of what remains when ``part``, merged before, is taken out again."""
        n = self.n - part.n
        if n < 1:
            raise UnmeasurableInput("Nothing remains when the part is taken out.")
        mean = (self.mean * self.n - part.mean * part.n) / n
        gap = part.mean - mean
        scatter = self.scatter - part.scatter - np.outer(gap, gap) * (n * part.n / self.n)
        return Moments(n, mean, scatter)

    @property
    def covariance(self) -> Float64[np.ndarray, "dim dim"]:
        """Unbiased sample covariance; needs two samples."""
        if self.n < 2:
            raise UnmeasurableInput("A covariance needs at least two samples.")
        return self.scatter / (self.n - 1)
