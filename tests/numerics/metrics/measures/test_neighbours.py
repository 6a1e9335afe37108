"""Nearest neighbours against the definition, ties and all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from replicalab_metrics.measures import neighbours, tiles
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.neighbours import Neighbours, nearest, nearest_others

LATTICES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(5, 30), st.just(3)),
    elements=st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]),
)


def by_definition(features: np.ndarray, others: np.ndarray, k: int) -> Neighbours:
    gaps = features.astype(np.float64)[:, None] - others.astype(np.float64)[None]
    squared = np.square(gaps).sum(axis=2)
    if features is others:
        np.fill_diagonal(squared, np.inf)
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return Neighbours(order, np.take_along_axis(squared, order, axis=1))


def check(found: Neighbours, expected: Neighbours) -> None:
    assert found.indices.tolist() == expected.indices.tolist()
    assert found.squared.tolist() == expected.squared.tolist()


@given(features=LATTICES, others=LATTICES, k=st.integers(1, 4))
def test_ties_go_to_the_lower_index(features: np.ndarray, others: np.ndarray, k: int) -> None:
    check(nearest(features, others, k), by_definition(features, others, k))
    check(nearest_others(features, k), by_definition(features, features, k))


@pytest.mark.parametrize("rows", [3, 16, 100])
def test_neither_tiles_nor_a_full_shortlist_change_the_answer(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    features, others = rng.standard_normal((20, 6)), rng.standard_normal((25, 6))
    monkeypatch.setattr(tiles, "TILE_ROWS", rows)
    monkeypatch.setattr(neighbours, "MOST_CANDIDATES", 60)
    check(nearest(features, others, 5), by_definition(features, others, 5))
    check(nearest_others(features, 5), by_definition(features, features, 5))


def test_an_outlier_does_not_blur_what_is_close_together() -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((40, 4)) * 1e-6
    features[7] = 1e6
    check(nearest_others(features, 3), by_definition(features, features, 3))


def test_samples_that_all_coincide_are_their_first_neighbours() -> None:
    found = nearest_others(np.full((5, 3), 0.1, dtype=np.float32), 2)
    assert found.squared.tolist() == [[0, 0]] * 5
    assert found.indices[0].tolist() == [1, 2]
    assert found.indices[4].tolist() == [0, 1]


def test_a_set_too_small_for_its_neighbours_is_refused() -> None:
    features = np.zeros((4, 2), dtype=np.float32)
    with pytest.raises(UnmeasurableInput, match="at least 5, not 4"):
        nearest_others(features, 4)
    with pytest.raises(UnmeasurableInput, match="at least 5, not 4"):
        nearest(features, features, 5)
    with pytest.raises(UnmeasurableInput, match="no samples"):
        nearest(np.empty((0, 2)), features)
