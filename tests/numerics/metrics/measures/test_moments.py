"""Moments gathered in parts are those of the whole."""

import numpy as np
import pytest

from replicalab_metrics.measures import moments as moments_module
from replicalab_metrics.measures.moments import Moments


@pytest.fixture
def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray(rng.standard_normal((200, 5)) + 1000, dtype=np.float32)


def test_parts_give_the_moments_of_the_whole(features: np.ndarray) -> None:
    parts = (features[:1], features[1:150], features[150:])
    moments = Moments.merged(Moments.of(part) for part in parts)
    assert moments.n == 200
    np.testing.assert_allclose(moments.mean, features.astype(np.float64).mean(axis=0), rtol=1e-14)
    covariance = np.cov(features.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(moments.covariance, covariance, rtol=1e-11, atol=1e-12)


def test_the_order_of_a_merge_does_not_matter(features: np.ndarray) -> None:
    parts = Moments.of(features[:50]), Moments.of(features[50:])
    forth, back = parts[0].merge(parts[1]), parts[1].merge(parts[0])
    np.testing.assert_allclose(forth.mean, back.mean, rtol=1e-15)
    np.testing.assert_allclose(forth.scatter, back.scatter, rtol=1e-12)


def test_a_weight_counts_a_sample_so_often(features: np.ndarray) -> None:
    weights = np.arange(200) % 4
    repeated = Moments.of(np.repeat(features, weights, axis=0))
    weighted = Moments.of(features, weights.astype(np.float64))
    assert weighted.n == repeated.n
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-14)
    np.testing.assert_allclose(weighted.scatter, repeated.scatter, rtol=1e-9, atol=1e-9)


def test_large_sets_are_gathered_in_blocks(
    features: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = np.random.default_rng(1).uniform(0.5, 2, 200)
    whole = Moments.of(features, weights)
    monkeypatch.setattr(moments_module, "BLOCK_ROWS", 33)
    blocks = Moments.of(features, weights)
    np.testing.assert_allclose(blocks.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(blocks.scatter, whole.scatter, rtol=1e-9, atol=1e-9)
