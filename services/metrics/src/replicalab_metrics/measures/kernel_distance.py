"""Kernel distance (KID), Binkowski et al. (2018), arXiv:1801.01401, sec. 4.

The squared maximum mean discrepancy under k(x, y) = (x.y / dim + 1)^3 by its unbiased estimator
(Gretton et al. 2012, eq. 3): of all samples at once with an analytic standard error, or of random
subsets, whose mean is what most code reports.

The estimator is unbiased for independent draws. Two things in a replication study are not: a
reconstruction and its source are a pair, and class sizes are chosen. Pairs are therefore not
compared with themselves (eq. 4 of Gretton et al.), and means are taken class by class.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.kernel_sums import Between, Classes, Within
from replicalab_metrics.measures.kernels import (
    Centred,
    paired_strips,
    strips_between,
    strips_within,
)

LARGEST_FEATURE = 1e20
"""Its square to the sixth, times the pairs of any two sets, is far from the end of float64."""


class KernelDistance(NamedTuple):
    """Estimate of the squared distance, and its standard error.

    Attributes:
        value: Unbiased, so it may be below zero where the sets hardly differ.
        standard_error: Over draws of both sets.
    """

    value: float
    standard_error: float


def kernel_distance(
    real: Float[np.ndarray, "real dim"],
    fake: Float[np.ndarray, "fake dim"],
    real_labels: Int[np.ndarray, " real"] | None = None,
    fake_labels: Int[np.ndarray, " fake"] | None = None,
) -> KernelDistance:
    """The distance of independent sets by all samples, with its standard error.

    The error is that of a two-sample U-statistic by Hoeffding's decomposition (Serfling 1980, sec.
    5.2 and 5.3): the variance of the samples' own effects and of their interactions, estimated as
    in an analysis of variance. It also holds for equal distributions, where the former vanish.

    Args:
        real: One set.
        fake: The other; their order does not matter.
        real_labels: Classes of ``real`` where their sizes are given rather than drawn. A set with
            a class of fewer than ``LEAST_CLASS`` samples is taken as drawn from all classes.
        fake_labels: The same for ``fake``.

    Raises:
        UnmeasurableInput: Fewer than four samples in a set, or features that are not finite.
    """
    _check(real, fake, at_least=4)
    left, right = _about_one_centre(real, fake)
    reals, fakes = Classes.of(real, real_labels), Classes.of(fake, fake_labels)
    of_real = Within.of(strips_within(left), reals)
    of_fake = Within.of(strips_within(right), fakes)
    between = Between.of(strips_between(left, right), reals, fakes)
    real_effects = of_real.means - between.row_means
    fake_effects = of_fake.means - between.column_means
    value = reals.mean(of_real.means) + fakes.mean(of_fake.means)
    effects = reals.variance_of_mean(real_effects) + fakes.variance_of_mean(fake_effects)
    interactions = of_real.overcount + of_fake.overcount + between.overcount
    error = _standard_error(4 * effects, interactions)
    return KernelDistance(value - 2 * reals.mean(between.row_means), error)


def paired_kernel_distance(
    real: Float[np.ndarray, "real dim"],
    fake: Float[np.ndarray, "fake dim"],
    labels: Int[np.ndarray, " real"] | None = None,
) -> KernelDistance:
    """The distance of samples made one from the other; zero without error for equal ones.

    Args:
        real: Sources.
        fake: What was made of each.
        labels: Classes of the pairs where their sizes are given, as above.

    Raises:
        UnmeasurableInput: Not one of ``fake`` for each of ``real``, fewer than four, not finite.
    """
    _check(real, fake, at_least=4)
    if len(real) != len(fake):
        raise UnmeasurableInput(f"{len(real)} sources are no pairs with {len(fake)} samples.")
    if np.array_equal(real, fake):  # products of unlike routines would differ in rounding
        return KernelDistance(0.0, 0.0)
    classes = Classes.of(real, labels)
    of_pairs = Within.of(paired_strips(*_about_one_centre(real, fake)), classes)
    error = _standard_error(4 * classes.variance_of_mean(of_pairs.means), of_pairs.overcount)
    return KernelDistance(classes.mean(of_pairs.means), error)


def _standard_error(effects: float, interactions: float) -> float:
    """Of a U-statistic.

    The spread of the samples' own effects counts interactions twice. Where it is less than they
    are, as chance or a set that copies the other may have it, no variance would be left, which
    would be false certainty; then it is taken to be that of the interactions.

    Args:
        effects: Variance of the mean by the spread of the samples' own effects.
        interactions: Variance of the mean that their interactions make up.
    """
    variance = effects - interactions
    return float(np.sqrt(variance if variance > 0 else interactions))


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
    left, right = _about_one_centre(real, fake)
    if 2 * subsets * size**2 <= (len(real) + len(fake)) ** 2 / 2:  # pairs of either way
        return np.array([_distance(left.take(reals), right.take(fakes)) for reals, fakes in chosen])
    return _distances_at_once(left, right, chosen, size)


def _about_one_centre(
    real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"]
) -> tuple[Centred, Centred]:
    centre = real.mean(axis=0, dtype=np.float64)
    return Centred.of(real, centre), Centred.of(fake, centre)


def _check(
    real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"], at_least: int
) -> None:
    for features in (real, fake):
        if len(features) < at_least:
            raise UnmeasurableInput(
                f"A kernel distance needs at least {at_least} samples a set, not {len(features)}."
            )
        check_finite(features, "features")
    largest = max(float(np.abs([each.max(), each.min()]).max()) for each in (real, fake))
    limit = _largest_feature(real.shape[1], np.result_type(real, fake))
    if largest > limit:
        raise UnmeasurableInput(
            f"Features reach {largest:.1e}; beyond {limit:.1e} the cube of their products is no "
            "number any more. Scale both sets alike."
        )


def _largest_feature(dimension: int, precision: np.dtype[np.floating]) -> float:
    """Products of centred features stay numbers, and so do squares of the float64 cubes."""
    product = float(np.sqrt(np.finfo(precision).max / (4 * dimension)))
    return min(product, LARGEST_FEATURE)


def _distance(real: Centred, fake: Centred) -> float:
    """The estimate without its error."""
    n, m = len(real), len(fake)
    of_real = sum(s.kernel.sum() * (1 + s.is_mirrored) for s in strips_within(real))
    of_fake = sum(s.kernel.sum() * (1 + s.is_mirrored) for s in strips_within(fake))
    between = sum(s.kernel.sum() for s in strips_between(real, fake))
    return float(of_real / (n * (n - 1)) + of_fake / (m * (m - 1)) - 2 * between / (n * m))


def _distances_at_once(
    real: Centred,
    fake: Centred,
    chosen: list[tuple[Int[np.ndarray, " size"], Int[np.ndarray, " size"]]],
    size: int,
) -> Float64[np.ndarray, " subset"]:
    """Every subset from one kernel matrix: a sum over pairs is a product with memberships."""
    is_real = _memberships(len(real), [reals for reals, _ in chosen])
    is_fake = _memberships(len(fake), [fakes for _, fakes in chosen])
    within, between = np.zeros(len(chosen)), np.zeros(len(chosen))
    for samples, is_member in ((real, is_real), (fake, is_fake)):
        for strip in strips_within(samples):
            partial = strip.kernel @ is_member[strip.columns]
            sums = np.einsum("ij,ij->j", is_member[strip.rows], partial)
            within += sums * (1 + strip.is_mirrored)
    for strip in strips_between(real, fake):
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
