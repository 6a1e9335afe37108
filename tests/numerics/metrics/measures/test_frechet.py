"""The Frechet distance against closed forms, golden numbers and torch-fidelity."""

from typing import Any

import numpy as np
import pytest

from replicalab_metrics.measures.frechet import distance_of_moments, frechet_distance
from replicalab_metrics.measures.moments import Moments

Golden = tuple[dict[str, Any], np.ndarray, np.ndarray]

REGULAR = [(500, 500, 64), (2000, 1500, 64)]
SINGULAR = [(200, 300, 256), (1000, 1000, 2048)]


def gaussian_moments(mean: np.ndarray, covariance: np.ndarray) -> Moments:
    return Moments(1001.0, mean, 1000 * covariance)


def random_covariance(rng: np.random.Generator, dimension: int, rank: int) -> np.ndarray:
    factor = rng.standard_normal((dimension, rank))
    return factor @ factor.T / rank


def test_shifted_gaussians_differ_by_the_squared_shift() -> None:
    rng = np.random.default_rng(0)
    covariance = random_covariance(rng, 12, 40)
    shift = rng.standard_normal(12)
    a, b = gaussian_moments(np.zeros(12), covariance), gaussian_moments(shift, covariance)
    assert distance_of_moments(a, b) == pytest.approx(shift @ shift, rel=1e-12)


def test_commuting_covariances_differ_by_their_standard_deviations() -> None:
    rng = np.random.default_rng(1)
    stds_a, stds_b = rng.uniform(0.5, 2, 9), rng.uniform(0.5, 2, 9)
    axes, _ = np.linalg.qr(rng.standard_normal((9, 9)))
    a = gaussian_moments(np.zeros(9), axes * stds_a**2 @ axes.T)
    b = gaussian_moments(np.zeros(9), axes * stds_b**2 @ axes.T)
    assert distance_of_moments(a, b) == pytest.approx(np.sum((stds_a - stds_b) ** 2), rel=1e-12)


@pytest.mark.parametrize("rank", [3, 40], ids=["singular", "regular"])
def test_a_distance_to_itself_is_zero(rank: int) -> None:
    rng = np.random.default_rng(2)
    moments = gaussian_moments(rng.standard_normal(10), random_covariance(rng, 10, rank))
    assert distance_of_moments(moments, moments) == 0


def test_directions_without_any_variance_add_nothing() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((50, 6)), rng.standard_normal((60, 6)) + 0.3
    a_padded, b_padded = np.pad(a, ((0, 0), (0, 3))), np.pad(b, ((0, 0), (0, 3)))
    assert frechet_distance(a_padded, b_padded) == pytest.approx(frechet_distance(a, b), rel=1e-12)


def test_few_samples_by_their_gram_matrix_agree_with_their_covariances() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((15, 20)), rng.standard_normal((20, 20)) * 1.3
    by_moments = distance_of_moments(Moments.of(a), Moments.of(b))
    assert frechet_distance(a, b) == pytest.approx(by_moments, rel=1e-10)


@pytest.mark.parametrize("n", [9, 80], ids=["gram", "covariance"])
def test_a_weight_counts_a_sample_so_often(n: int) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((n, 20)), rng.standard_normal((n, 20)) + 1
    weights = np.arange(n) % 3
    repeated = frechet_distance(np.repeat(a, weights, axis=0), b)
    weighted = frechet_distance(a, b, weights_a=weights.astype(np.float64))
    assert weighted == pytest.approx(repeated, rel=1e-9)


@pytest.mark.parametrize("golden_case", REGULAR, indirect=True, ids=str)
def test_golden_distances_of_regular_covariances(golden_case: Golden) -> None:
    case, real, fake = golden_case
    distance = frechet_distance(real, fake)
    assert distance == pytest.approx(case["fd_exact_nuclear"], rel=1e-9)
    assert distance == pytest.approx(case["fd_torch_fidelity"], rel=1e-9)


@pytest.mark.parametrize("golden_case", SINGULAR, indirect=True, ids=str)
def test_golden_distances_of_singular_covariances(golden_case: Golden) -> None:
    case, real, fake = golden_case
    distance = frechet_distance(real, fake)
    assert distance == pytest.approx(case["fd_exact_nuclear"], rel=1e-9)
    # The libraries lose three millionths in the square root of a singular product.
    for library in ("fd_torch_fidelity", "fd_pytorch_fid", "fd_clean_fid"):
        assert distance == pytest.approx(case[library], rel=1e-5)


@pytest.mark.slow  # imports torch
def test_torch_fidelity_computes_the_same_distance() -> None:
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal((300, 24)), rng.standard_normal((200, 24)) * 1.2 + 0.1
    statistics = [{"mu": x.mean(axis=0), "sigma": np.cov(x, rowvar=False)} for x in (a, b)]
    theirs = fid.fid_statistics_to_metric(*statistics, verbose=False)
    assert frechet_distance(a, b) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-9)
