"""Frechet distance between Gaussian fits, Heusel et al. (2017), arXiv:1706.08500, eq. 6.

    d^2 = |m_a - m_b|^2 + tr A + tr B - 2 tr (A B)^(1/2)

With A = L L^T and B = M M^T the cross term is the sum of the square roots of the eigenvalues of
P^T P, P = M^T L: a symmetric problem of triangular parts. Any factors A = F F^T, B = G G^T give it
as the nuclear norm of F^T G, which never squares what is small: the way for singular covariances,
and for fewer samples than dimensions, where the centred samples themselves are the factors and
F^T G is their Gram matrix.
"""

from collections.abc import Callable

import numpy as np
import scipy.linalg
from jaxtyping import Float, Float64
from scipy.linalg import blas

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.moments import Moments

Matrix = Float64[np.ndarray, "dim dim"]


def frechet_distance(
    features_a: Float[np.ndarray, "sample_a dim"],
    features_b: Float[np.ndarray, "sample_b dim"],
    weights_a: Float64[np.ndarray, " sample_a"] | None = None,
    weights_b: Float64[np.ndarray, " sample_b"] | None = None,
) -> float:
    """Frechet distance between the Gaussian fits of two samples, in squared feature units.

    Args:
        features_a: One set; the order of the two does not matter.
        features_b: The other set.
        weights_a: How often each sample of ``features_a`` counts; once by default.
        weights_b: The same for ``features_b``.

    Raises:
        UnmeasurableInput: Fewer than two samples, not finite, or constant.
    """
    if max(len(features_a), len(features_b)) > features_a.shape[1]:
        a, b = Moments.of(features_a, weights_a), Moments.of(features_b, weights_b)
        return distance_of_moments(a, b)
    return _distance_of_few(features_a, features_b, weights_a, weights_b)


def distance_of_moments(a: Moments, b: Moments) -> float:
    """Frechet distance of two Gaussians given by their moments; raises as above."""
    total = _total_variance(a.total_variance, b.total_variance)
    return _distance(a.mean, b.mean, total, lambda: _cross_term(a, b))


def _distance_of_few(
    features_a: Float[np.ndarray, "sample_a dim"],
    features_b: Float[np.ndarray, "sample_b dim"],
    weights_a: Float64[np.ndarray, " sample_a"] | None,
    weights_b: Float64[np.ndarray, " sample_b"] | None,
) -> float:
    """The distance by the Gram matrix of the samples: no matrix has the size of a covariance."""
    mean_a, factor_a = _centred_factor(features_a, weights_a)
    mean_b, factor_b = _centred_factor(features_b, weights_b)
    total = _total_variance(np.sum(factor_a**2), np.sum(factor_b**2))
    return _distance(
        mean_a, mean_b, total, lambda: scipy.linalg.svdvals(factor_a @ factor_b.T).sum()
    )


def _distance(
    mean_a: Float64[np.ndarray, " dim"],
    mean_b: Float64[np.ndarray, " dim"],
    total_variance: float,
    cross_term: Callable[[], float],
) -> float:
    gap = mean_a - mean_b
    distance = float(gap @ gap + total_variance - 2 * cross_term())
    # Less than the rounding of its terms is nothing: equal sets have distance zero.
    resolution = len(gap) * float(np.finfo(np.float64).eps) * total_variance
    return distance if distance > resolution else 0.0


def _centred_factor(
    features: Float[np.ndarray, "sample dim"], weights: Float64[np.ndarray, " sample"] | None
) -> tuple[Float64[np.ndarray, " dim"], Float64[np.ndarray, "sample dim"]]:
    """Mean, and the samples scaled so that factor^T factor is their covariance."""
    if len(features) < 2:
        raise UnmeasurableInput("A covariance needs at least two samples.")
    check_finite(features, "features")
    samples = features.astype(np.float64)
    counts = np.ones(len(samples)) if weights is None else weights
    mean = counts @ samples / counts.sum()
    return mean, (samples - mean) * np.sqrt(counts / (counts.sum() - 1))[:, None]


def _total_variance(trace_a: float, trace_b: float) -> float:
    """Sum of both traces; sets without any spread are refused: the extractor must be broken."""
    if min(trace_a, trace_b) <= 0:
        raise UnmeasurableInput("Every sample of a set has the same features.")
    return float(trace_a + trace_b)


def _cross_term(a: Moments, b: Moments) -> float:
    """Trace of (A B)^(1/2); a matrix that has served holds the next one."""
    lower_a, lower_b = _lower_factor(a.covariance), _lower_factor(b.covariance)
    if lower_a is None or lower_b is None:
        product = _root_factor(a.covariance).T @ _root_factor(b.covariance)
        return float(scipy.linalg.svdvals(product).sum())
    product = blas.dtrmm(1.0, lower_b, lower_a, lower=True, trans_a=True, overwrite_b=True)
    gram = blas.dsyrk(1.0, product, trans=True, c=lower_b, lower=True, overwrite_c=True)
    eigenvalues = scipy.linalg.eigvalsh(gram, lower=True, overwrite_a=True)
    return float(np.sqrt(eigenvalues.clip(min=0)).sum())


def _lower_factor(covariance: Matrix) -> Matrix | None:
    """Cholesky factor in the covariance's place, or None where that is singular in float64."""
    try:
        lower: Matrix = scipy.linalg.cholesky(covariance, lower=True, overwrite_a=True)
    except scipy.linalg.LinAlgError:
        return None
    pivots = np.diag(lower) ** 2
    smallest_pivot = len(pivots) * np.finfo(np.float64).eps * pivots.max()
    return lower if pivots.min() > smallest_pivot else None


def _root_factor(covariance: Matrix) -> Float64[np.ndarray, "dim rank"]:
    """F with F F^T = covariance, without the directions that hold only rounding."""
    eigenvalues, vectors = scipy.linalg.eigh(covariance)
    is_real = eigenvalues > len(eigenvalues) * np.finfo(np.float64).eps * eigenvalues[-1]
    factor: Float64[np.ndarray, "dim rank"] = vectors[:, is_real] * np.sqrt(eigenvalues[is_real])
    return factor
