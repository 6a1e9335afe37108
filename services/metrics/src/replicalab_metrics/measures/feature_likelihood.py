"""Feature likelihood divergence (FLD), Jiralerspong et al. (2023), arXiv:2302.04440, sec. 3.

Generated samples become the centres of a mixture of equally weighted round Gaussians. Variances
are fitted to the training set, one a centre, so that a copy of a training image gets a narrow one
and explains nothing else. The score is how much worse the mixture explains held-out images than
one whose centres are half of the training set, fitted to its other half:

    FLD = 100 / dim * (mean log p_half(test) - mean log p_fake(test))

Features are standardised by the held-out set, and while variances are fitted a broad component
takes what no centre explains; both as in the authors' code. Where that follows a gradient for
fifty steps, variances here come from expectation-maximisation, begun at the nearest training image
as theirs, and features without spread in the held-out set are left out.
"""

from collections.abc import Iterator

import numpy as np
import scipy.special
from jaxtyping import Float, Float32, Float64

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite

MOST_SAMPLES = 10_000
"""Of the training set and of the generated one; a random part of larger ones is taken."""

MOST_STEPS = 50

TOLERANCE = 1e-3
"""Relative change of the variances below which the iteration ends."""

LEAST_VARIANCE = 1e-6
"""Of a component, in variances of the held-out set: what a copy would make zero."""

STRIP_ROWS = 64

Samples = Float64[np.ndarray, "sample dim"]
Centres = Float64[np.ndarray, "centre dim"]


def feature_likelihood_divergence(
    train: Float[np.ndarray, "train dim"],
    test: Float[np.ndarray, "test dim"],
    fake: Float[np.ndarray, "fake dim"],
    *,
    seed: int,
) -> Float64[np.ndarray, " test"]:
    """The divergence of every held-out sample; FLD is their mean.

    Args:
        train: Features of real images that the generator learnt from.
        test: Features of real images held out.
        fake: Features of generated images.
        seed: Of the halves of the training set, and of what is taken of large sets.

    Raises:
        UnmeasurableInput: Fewer than four real samples in a set, no generated ones, or features
            not finite or without spread.
    """
    if min(len(train), len(test)) < 4 or not len(fake):
        raise UnmeasurableInput(
            "FLD needs at least 4 real samples in both sets, and generated ones."
        )
    for features in (train, test, fake):
        check_finite(features, "features")
    draws = np.random.default_rng(seed)
    scale = _Scale(test)
    real = scale.apply(train[draws.permutation(len(train))[:MOST_SAMPLES]])
    generated = scale.apply(fake[np.sort(draws.permutation(len(fake))[:MOST_SAMPLES])])
    held_out = scale.apply(test)
    half, rest = np.array_split(real, 2)
    ideal = _log_density(held_out, half, _fitted_variances(half, rest))
    found = _log_density(held_out, generated, _fitted_variances(generated, real))
    divergences: Float64[np.ndarray, " test"] = 100 * (ideal - found) / held_out.shape[1]
    return divergences


class _Scale:
    """Standardises features by the mean and deviation of a set."""

    def __init__(self, features: Float[np.ndarray, "sample dim"]) -> None:
        deviation = features.std(axis=0, dtype=np.float64)
        self._has_spread = deviation > 0
        if not self._has_spread.any():
            raise UnmeasurableInput("Every sample of a set has the same features.")
        self._mean = features.mean(axis=0, dtype=np.float64)[self._has_spread]
        self._deviation = deviation[self._has_spread]

    def apply(
        self, features: Float[np.ndarray, "sample dim"]
    ) -> Float64[np.ndarray, "sample changing"]:
        """``features`` in deviations from the mean, without those that never change."""
        scaled: Float64[np.ndarray, "sample changing"] = (
            features[:, self._has_spread] - self._mean
        ) / self._deviation
        return scaled


def _fitted_variances(centres: Centres, samples: Samples) -> Float64[np.ndarray, " centre"]:
    """Variance of every component at a maximum of the likelihood of ``samples``."""
    dimension = samples.shape[1]
    squared = np.concatenate(list(_squared(samples, centres)))
    to_mean = np.square(samples - samples.mean(axis=0)).sum(axis=1)
    nearest = squared.min(axis=0).astype(np.float64) / dimension
    variances: Float64[np.ndarray, " centre"] = np.maximum(nearest, LEAST_VARIANCE)
    broad = 1.0
    for _ in range(MOST_STEPS):
        shares, moments = np.zeros(len(centres)), np.zeros(len(centres))
        broad_share, broad_moment = 0.0, 0.0
        for first in range(0, len(samples), STRIP_ROWS):
            strip = squared[first : first + STRIP_ROWS]
            logs = _log_components(strip, variances, dimension)
            rest = to_mean[first : first + STRIP_ROWS]
            broad_logs = -0.5 * (rest / broad + dimension * np.log(broad))
            totals = np.logaddexp(scipy.special.logsumexp(logs, axis=1), broad_logs)
            logs -= totals[:, None]
            responsibilities = np.exp(logs, out=logs)
            shares += responsibilities.sum(axis=0)
            moments += np.einsum("ij,ij->j", responsibilities, strip)
            broad_responsibilities = np.exp(broad_logs - totals)
            broad_share += float(broad_responsibilities.sum())
            broad_moment += float(broad_responsibilities @ rest)
        updated = _updated(variances, shares, moments, dimension)
        change = np.abs(np.log(updated / variances)).max()
        variances = updated
        if broad_share > np.finfo(np.float64).tiny:
            broad = max(broad_moment / broad_share / dimension, LEAST_VARIANCE)
        if change < TOLERANCE:
            break
    return variances


def _updated(
    variances: Float64[np.ndarray, " centre"],
    shares: Float64[np.ndarray, " centre"],
    moments: Float64[np.ndarray, " centre"],
    dimension: int,
) -> Float64[np.ndarray, " centre"]:
    """Variances of the next step; a component that explains nothing keeps its own."""
    explains = shares > np.finfo(np.float64).tiny
    updated = variances.copy()
    updated[explains] = moments[explains] / shares[explains] / dimension
    updated[updated < LEAST_VARIANCE] = LEAST_VARIANCE
    return updated


def _log_density(
    samples: Samples, centres: Centres, variances: Float64[np.ndarray, " centre"]
) -> Float64[np.ndarray, " sample"]:
    """Log density of the mixture, less the constant of pi that every mixture shares."""
    parts = [
        scipy.special.logsumexp(_log_components(strip, variances, samples.shape[1]), axis=1)
        for strip in _squared(samples, centres)
    ]
    density: Float64[np.ndarray, " sample"] = np.concatenate(parts)
    return density


def _log_components(
    squared: Float32[np.ndarray, "sample centre"],
    variances: Float64[np.ndarray, " centre"],
    dimension: int,
) -> Float64[np.ndarray, "sample centre"]:
    """Log of weight times density of every component."""
    logs: Float64[np.ndarray, "sample centre"] = squared / variances
    logs += dimension * np.log(variances) + 2 * np.log(len(variances))
    logs *= -0.5
    return logs


def _squared(samples: Samples, centres: Centres) -> Iterator[Float32[np.ndarray, "strip centre"]]:
    """Squared distances from float64 products, kept in float32, some rows at a time."""
    norms = np.einsum("ij,ij->i", centres, centres)
    for first in range(0, len(samples), STRIP_ROWS):
        strip = samples[first : first + STRIP_ROWS]
        squared = norms - 2 * (strip @ centres.T)
        squared += np.einsum("ij,ij->i", strip, strip)[:, None]
        yield squared.clip(min=0).astype(np.float32)
