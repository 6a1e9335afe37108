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

import numpy as np
from jaxtyping import Float, Float64

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.round_gaussians import fitted_variances, log_density

MOST_SAMPLES = 10_000
"""Of the training set and of the generated one; a random part of larger ones is taken."""


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
    ideal = log_density(held_out, half, fitted_variances(half, rest))
    found = log_density(held_out, generated, fitted_variances(generated, real))
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
