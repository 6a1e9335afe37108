"""Moments gathered in parts are those of the whole."""

import numpy as np
import pytest

from replicalab_metrics.measures.moments import Moments


@pytest.fixture
def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray(rng.standard_normal((200, 5)) + 1000, dtype=np.float32)


def test_batches_give_the_moments_of_the_whole(features: np.ndarray) -> None:
    moments = Moments.of_batches([features[:1], features[1:150], features[150:]])
    assert moments.n == 200
    np.testing.assert_allclose(moments.mean, features.astype(np.float64).mean(axis=0), rtol=1e-14)
    covariance = np.cov(features.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(moments.covariance, covariance, rtol=1e-11, atol=1e-12)


def test_the_order_of_a_merge_does_not_matter(features: np.ndarray) -> None:
    parts = Moments.of(features[:50]), Moments.of(features[50:])
    forth, back = parts[0].merge(parts[1]), parts[1].merge(parts[0])
    np.testing.assert_allclose(forth.mean, back.mean, rtol=1e-15)
    np.testing.assert_allclose(forth.scatter, back.scatter, rtol=1e-12)


def test_a_part_taken_out_leaves_the_rest(features: np.ndarray) -> None:
    rest = Moments.of(features).without(Moments.of(features[:60]))
    expected = Moments.of(features[60:])
    assert rest.n == expected.n
    np.testing.assert_allclose(rest.mean, expected.mean, rtol=1e-14)
    np.testing.assert_allclose(rest.scatter, expected.scatter, rtol=1e-9, atol=1e-9)
