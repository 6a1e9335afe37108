"""Vendi score, Friedman & Dieng (2023), arXiv:2210.02410, def. 3.1: how many samples differ.

The exponential of the entropy of the eigenvalues of K / n, where K holds the cosines between the
features. Those of a linear kernel are the squared singular values of the normalised features, so
the smaller of the two Gram matrices has them all.
"""

import numpy as np
import scipy.linalg
import scipy.special
from jaxtyping import Float, Float64

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.tiles import row_blocks


def vendi_score(features: Float[np.ndarray, "sample dim"]) -> float:
    """Effective number of different samples: 1 (all alike) to min(n, dim).

    Raises:
        UnmeasurableInput: No samples, features not finite, or a sample without direction.
    """
    if not len(features):
        raise UnmeasurableInput("The set holds no samples.")
    check_finite(features, "features")
    gram = _small_gram(features)
    eigenvalues = scipy.linalg.eigvalsh(gram, overwrite_a=True, check_finite=False)
    return float(np.exp(scipy.special.entr(eigenvalues.clip(min=0)).sum()))


def _small_gram(features: Float[np.ndarray, "sample dim"]) -> Float64[np.ndarray, "side side"]:
    """X^T X / n, or X X^T / n for fewer samples than dimensions, of normalised features X."""
    n, dimension = features.shape
    if n < dimension:
        directions = _directions(features)
        few: Float64[np.ndarray, "side side"] = directions @ directions.T / n
        return few
    gram = np.zeros((dimension, dimension))
    for rows in row_blocks(n):
        directions = _directions(features[rows])
        gram += directions.T @ directions
    gram /= n
    return gram


def _directions(
    features: Float[np.ndarray, "sample dim"],
) -> Float64[np.ndarray, "sample dim"]:
    samples = features.astype(np.float64)
    lengths = np.linalg.norm(samples, axis=1, keepdims=True)
    if not lengths.all():
        raise UnmeasurableInput(
            "A sample has only zero features: its similarity to others is not defined."
        )
    samples /= lengths
    return samples
