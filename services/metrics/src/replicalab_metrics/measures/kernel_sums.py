"""Kernel matrices summed up class by class: means of rows, and how samples interact."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from replicalab_metrics.measures.kernels import Strip

LEAST_CLASS = 3
"""Samples of a class from whose pairs own effects and interactions can be told apart."""


@dataclass(frozen=True, slots=True)
class Classes:
    """Which class each sample belongs to; one class where sizes are not given.

    Attributes:
        members: One where a sample belongs to a class, else zero.
        sizes: Of the classes.
    """

    members: Float64[np.ndarray, "sample class_"]
    sizes: Float64[np.ndarray, " class_"]

    @classmethod
    def of(
        cls, features: Float[np.ndarray, "sample dim"], labels: Int[np.ndarray, " sample"] | None
    ) -> "Classes":
        """Classes of ``features``; one class where a class is smaller than ``LEAST_CLASS``."""
        one_class = np.zeros(len(features), dtype=np.int64)
        _, number, sizes = np.unique(
            one_class if labels is None else labels, return_inverse=True, return_counts=True
        )
        if sizes.min() < LEAST_CLASS:
            number, sizes = one_class, np.array([len(features)])
        return cls(np.eye(len(sizes))[number], sizes.astype(np.float64))

    @property
    def n(self) -> int:
        """How many samples there are."""
        return len(self.members)

    @property
    def weights(self) -> Float64[np.ndarray, " class_"]:
        """Share of the samples in every class."""
        return self.sizes / self.n

    def mean(self, values: Float64[np.ndarray, " sample"]) -> float:
        """Over all samples, and so over classes by their sizes."""
        return float(values.mean())

    def variance_of_mean(self, values: Float64[np.ndarray, " sample"]) -> float:
        """Of the mean over samples whose class sizes are given."""
        class_means = values @ self.members / self.sizes
        residuals = values - self.members @ class_means
        return float(residuals @ residuals / (self.n - len(self.sizes)) / self.n)


@dataclass(frozen=True, slots=True)
class Within:
    """A symmetric kernel matrix without its diagonal, summed up.

    Attributes:
        means: Of every row: over each class of columns, then over classes by their weights.
        overcount: Variance that the spread of ``means`` counts beyond that of the overall mean,
            because each interaction of two samples is in both their means.
    """

    means: Float64[np.ndarray, " sample"]
    overcount: float

    @classmethod
    def of(cls, strips: Iterable[Strip], classes: Classes) -> "Within":
        """Sums of what ``strips_within`` or ``paired_strips`` yield."""
        sums, squares = np.zeros_like(classes.members), 0.0
        for strip in strips:
            sums[strip.rows] += strip.kernel @ classes.members[strip.columns]
            squares += float(np.vdot(strip.kernel, strip.kernel)) * (1 + strip.is_mirrored)
            if strip.is_mirrored:
                sums[strip.columns] += strip.kernel.T @ classes.members[strip.rows]
        sizes = classes.sizes - classes.members  # a sample has no partner in itself
        means = (sums / sizes) @ classes.weights
        n = classes.n
        freedom = (n - len(classes.sizes)) ** 2 - n - len(classes.sizes)
        interactions = max(squares - _explained_within(sums, classes), 0.0) / freedom
        return cls(means, 2 * interactions / (n * (n - 1)))


def _explained_within(sums: Float64[np.ndarray, "sample class_"], classes: Classes) -> float:
    """Sum of squares that the samples' own effects explain, block by block of two classes.

    Blocks of unlike classes are two-way layouts, those of a class with itself symmetric ones
    without diagonal (Griffing 1956, method 4); every pair counts in both orders.
    """
    sizes, members = classes.sizes, classes.members
    own = (sums * members).sum(axis=1)
    blocks = members.T @ sums
    totals = np.diag(blocks)
    others = (sums**2 / sizes).sum() - (own**2 / (members @ sizes)).sum()
    unlike = (blocks**2 / np.outer(sizes, sizes)).sum() - (totals**2 / sizes**2).sum()
    alike = 2 * (own**2 @ members - totals**2 / sizes) / (sizes - 2) + totals**2 / (
        sizes * (sizes - 1)
    )
    return float(2 * others - unlike + alike.sum())


@dataclass(frozen=True, slots=True)
class Between:
    """A kernel matrix of two sets, summed up; attributes as above, for rows and for columns."""

    row_means: Float64[np.ndarray, " row"]
    column_means: Float64[np.ndarray, " column"]
    overcount: float

    @classmethod
    def of(cls, strips: Iterable[Strip], left: Classes, right: Classes) -> "Between":
        """Sums of what ``strips_between`` yields."""
        rows = np.zeros((left.n, len(right.sizes)))
        columns, squares = np.zeros((right.n, len(left.sizes))), 0.0
        for strip in strips:
            rows[strip.rows] += strip.kernel @ right.members[strip.columns]
            columns[strip.columns] += strip.kernel.T @ left.members[strip.rows]
            squares += float(np.vdot(strip.kernel, strip.kernel))
        blocks = left.members.T @ rows
        explained = (rows**2 / right.sizes).sum() + (columns**2 / left.sizes).sum()
        explained -= (blocks**2 / np.outer(left.sizes, right.sizes)).sum()
        freedom = (left.n - len(left.sizes)) * (right.n - len(right.sizes))
        interactions = max(squares - explained, 0.0) / freedom
        return cls(
            (rows / right.sizes) @ right.weights,
            (columns / left.sizes) @ left.weights,
            4 * interactions / (left.n * right.n),
        )
