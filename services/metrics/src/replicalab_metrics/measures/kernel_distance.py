"""Kernel distance (KID), Binkowski et al. (2018), arXiv:1801.01401, sec. 4.

The squared maximum mean discrepancy under k(x, y) = (x.y / dim + 1)^3 by its unbiased estimator
(Gretton et al. 2012, eq. 3): of all samples at once with an analytic standard error, or of random
subsets, whose mean is what most code reports.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.kernels import strips_between, strips_within


class KernelDistance(NamedTuple):
    """Estimate of the squared distance, and its standard error.

    Attributes:
        value: Unbiased, so it may be below zero where the sets hardly differ.
        standard_error: Over draws of both sets.
    """

    value: float
    standard_error: float


def kernel_distance(
    real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"]
) -> KernelDistance:
    """The distance by all samples, with its standard error.

    The error is that of a two-sample U-statistic by Hoeffding's decomposition (Serfling 1980, sec.
    5.2 and 5.3): the variance of the samples' own effects and of their interactions, estimated as
    in an analysis of variance. It also holds for equal distributions, where the former vanish.

    Raises:
        UnmeasurableInput: Fewer than four samples in a set, or features that are not finite.
    """
    _check(real, fake, at_least=4)
    centre = real.mean(axis=0, dtype=np.float64)
    of_real, of_fake = _sums_within(real, centre), _sums_within(fake, centre)
    between = _sums_between(real, fake, centre)
    n, m = len(real), len(fake)
    real_means, fake_means = of_real.rows / (n - 1), of_fake.rows / (m - 1)
    value = real_means.mean() + fake_means.mean() - 2 * between.rows.mean() / m
    real_effects = real_means - between.rows / m
    fake_effects = fake_means - between.columns / n
    variance = (
        4 * real_effects.var(ddof=1) / n
        + 4 * fake_effects.var(ddof=1) / m
        - 2 * of_real.interaction_variance_within() / (n * (n - 1))
        - 2 * of_fake.interaction_variance_within() / (m * (m - 1))
        - 4 * between.interaction_variance_between() / (n * m)
    )
    return KernelDistance(float(value), float(np.sqrt(max(variance, 0.0))))


def subset_kernel_distances(
    real: Float[np.ndarray, "real dim"],
    fake: Float[np.ndarray, "fake dim"],
    *,
    subsets: int,
    size: int,
    seed: int,
) -> Float64[np.ndarray, " subset"]:
    """The distance of every random subset.

    Subsets are drawn as in the authors' code and in torch-fidelity: ``size`` of each set without
    replacement, by numpy's older generator. They overlap, so that their spread is no error of
    their mean.

    Raises:
        UnmeasurableInput: ``size`` below two or beyond a set, or features that are not finite.
    """
    _check(real, fake, at_least=2)
    if not 2 <= size <= min(len(real), len(fake)):
        raise UnmeasurableInput(
            f"Subsets of {size} need 2 to {min(len(real), len(fake))} samples, the smaller set."
        )
    draws = np.random.RandomState(seed)
    chosen = [
        (draws.choice(len(real), size, replace=False), draws.choice(len(fake), size, replace=False))
        for _ in range(subsets)
    ]
    if 2 * subsets * size**2 <= (len(real) + len(fake)) ** 2 / 2:  # pairs of either way
        return np.array([_distance(real[reals], fake[fakes]) for reals, fakes in chosen])
    return _distances_at_once(real, fake, chosen, size)


def _check(
    real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"], at_least: int
) -> None:
    for features in (real, fake):
        if len(features) < at_least:
            raise UnmeasurableInput(
                f"A kernel distance needs at least {at_least} samples a set, not {len(features)}."
            )
        check_finite(features, "features")


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of a kernel matrix by row and by column, and the sum of its squares."""

    rows: Float64[np.ndarray, " row"]
    columns: Float64[np.ndarray, " column"]
    squares: float

    def interaction_variance_within(self) -> float:
        """Variance of what the two samples of a pair do not explain each by itself.

        The residual of a symmetric layout without diagonal (Griffing 1956, method 4).
        """
        n, total = len(self.rows), self.rows.sum()
        effects = (self.rows**2).sum() / (n - 2) - total**2 / (n * (n - 2))
        overall = total**2 / (2 * n * (n - 1))
        return float((self.squares / 2 - effects - overall) / (n * (n - 3) / 2))

    def interaction_variance_between(self) -> float:
        """The same for pairs of two sets: a two-way layout without repetition."""
        n, m = len(self.rows), len(self.columns)
        overall = self.rows.sum() ** 2 / (n * m)
        effects = (self.rows**2).sum() / m + (self.columns**2).sum() / n - 2 * overall
        return float((self.squares - effects - overall) / ((n - 1) * (m - 1)))


def _sums_within(
    features: Float[np.ndarray, "sample dim"], centre: Float64[np.ndarray, " dim"]
) -> _Sums:
    """Over all ordered pairs of different samples."""
    sums, squares = np.zeros(len(features)), 0.0
    for strip in strips_within(features, centre):
        sums[strip.rows] += strip.kernel.sum(axis=1)
        squares += float(np.vdot(strip.kernel, strip.kernel)) * (1 + strip.is_mirrored)
        if strip.is_mirrored:
            sums[strip.columns] += strip.kernel.sum(axis=0)
    return _Sums(sums, sums, squares)


def _sums_between(
    left: Float[np.ndarray, "left dim"],
    right: Float[np.ndarray, "right dim"],
    centre: Float64[np.ndarray, " dim"],
) -> _Sums:
    """Over all pairs of a sample of each set."""
    rows, columns, squares = np.zeros(len(left)), np.zeros(len(right)), 0.0
    for strip in strips_between(left, right, centre):
        rows[strip.rows] += strip.kernel.sum(axis=1)
        columns[strip.columns] += strip.kernel.sum(axis=0)
        squares += float(np.vdot(strip.kernel, strip.kernel))
    return _Sums(rows, columns, squares)


def _distance(real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"]) -> float:
    """The estimate without its error."""
    centre = real.mean(axis=0, dtype=np.float64)
    n, m = len(real), len(fake)
    of_real = sum(s.kernel.sum() * (1 + s.is_mirrored) for s in strips_within(real, centre))
    of_fake = sum(s.kernel.sum() * (1 + s.is_mirrored) for s in strips_within(fake, centre))
    between = sum(s.kernel.sum() for s in strips_between(real, fake, centre))
    return float(of_real / (n * (n - 1)) + of_fake / (m * (m - 1)) - 2 * between / (n * m))


def _distances_at_once(
    real: Float[np.ndarray, "real dim"],
    fake: Float[np.ndarray, "fake dim"],
    chosen: list[tuple[Int[np.ndarray, " size"], Int[np.ndarray, " size"]]],
    size: int,
) -> Float64[np.ndarray, " subset"]:
    """Every subset from one kernel matrix: a sum over pairs is a product with memberships."""
    centre = real.mean(axis=0, dtype=np.float64)
    is_real = _memberships(len(real), [reals for reals, _ in chosen])
    is_fake = _memberships(len(fake), [fakes for _, fakes in chosen])
    within, between = np.zeros(len(chosen)), np.zeros(len(chosen))
    for features, is_member in ((real, is_real), (fake, is_fake)):
        for strip in strips_within(features, centre):
            partial = strip.kernel @ is_member[strip.columns]
            sums = np.einsum("ij,ij->j", is_member[strip.rows], partial)
            within += sums * (1 + strip.is_mirrored)
    for strip in strips_between(real, fake, centre):
        between += np.einsum("ij,ij->j", is_real[strip.rows], strip.kernel @ is_fake[strip.columns])
    distances: Float64[np.ndarray, " subset"] = within / (size * (size - 1)) - 2 * between / size**2
    return distances


def _memberships(
    samples: int, chosen: list[Int[np.ndarray, " size"]]
) -> Float64[np.ndarray, "sample subset"]:
    """One where a sample is in a subset, else zero."""
    members = np.zeros((samples, len(chosen)))
    for subset, indices in enumerate(chosen):
        members[indices, subset] = 1
    return members
