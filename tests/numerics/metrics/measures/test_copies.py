"""Authenticity and the nearest real sample."""

import numpy as np

from replicalab_metrics.measures.copies import nearest_real


def test_copies_are_not_authentic_and_name_what_they_copy() -> None:
    real = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    found = nearest_real(real, real[::-1])
    assert not found.is_authentic.any()
    assert found.indices.tolist() == list(range(49, -1, -1))
    assert not found.squared.any()


def test_a_sample_is_authentic_beyond_the_distance_of_its_neighbour_to_the_next() -> None:
    real = np.array([[0.0], [2.0], [10.0]])
    fake = np.array([[1.0], [-2.0], [-2.5], [14.0], [19.0]])
    found = nearest_real(real, fake)
    assert found.indices.tolist() == [0, 0, 0, 2, 2]
    assert found.squared.tolist() == [1, 4, 6.25, 16, 81]
    assert found.is_authentic.tolist() == [False, False, True, False, True]


def test_half_of_fresh_draws_on_a_line_are_authentic() -> None:
    # On a line a draw and its nearest real neighbour's own are equally far on average.
    rng = np.random.default_rng(1)
    real, fake = rng.uniform(size=(4000, 1)), rng.uniform(size=(4000, 1))
    share = nearest_real(real, fake).is_authentic.mean()
    assert 0.3 < share < 0.5
