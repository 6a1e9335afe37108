"""The Vendi score: closed forms and bounds."""

import numpy as np
import pytest

from replicalab_metrics.measures import tiles
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.vendi import vendi_score


@pytest.mark.parametrize("copies", [1, 5], ids=["fewer than dimensions", "more"])
def test_orthogonal_directions_count_each(copies: int) -> None:
    directions = np.repeat(np.eye(8)[:6] * np.arange(1, 7)[:, None], copies, axis=0)
    assert vendi_score(directions) == pytest.approx(6, rel=1e-12)


def test_samples_of_one_direction_count_once() -> None:
    assert vendi_score(np.outer(np.arange(1, 20), [3.0, 4.0])) == pytest.approx(1, abs=1e-12)


def test_unequal_shares_give_the_exponential_of_their_entropy() -> None:
    shares = np.array([0.5, 0.3, 0.2])
    directions = np.repeat(np.eye(3), (shares * 10).round().astype(int), axis=0)
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert vendi_score(directions) == pytest.approx(expected, rel=1e-12)


def test_two_directions_at_an_angle_have_the_eigenvalues_of_their_cosine() -> None:
    angle = 0.7
    pair = np.array([[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
    eigenvalues = np.array([1 + np.cos(angle), 1 - np.cos(angle)]) / 2
    expected = np.exp(-(eigenvalues * np.log(eigenvalues)).sum())
    assert vendi_score(pair) == pytest.approx(expected, rel=1e-12)


def test_either_gram_matrix_gives_the_eigenvalues_of_all_cosines() -> None:
    rng = np.random.default_rng(0)
    for shape in ((30, 12), (12, 30)):
        features = rng.standard_normal(shape) + 0.5
        directions = features / np.linalg.norm(features, axis=1, keepdims=True)
        eigenvalues = np.linalg.eigvalsh(directions @ directions.T / len(features))
        eigenvalues = eigenvalues[eigenvalues > 1e-14]
        expected = np.exp(-(eigenvalues * np.log(eigenvalues)).sum())
        assert vendi_score(features) == pytest.approx(expected, rel=1e-9)
        assert 1 <= vendi_score(features) <= min(shape)


def test_neither_order_nor_blocks_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(1).standard_normal((50, 7)).astype(np.float32)
    whole = vendi_score(features)
    monkeypatch.setattr(tiles, "TILE_ROWS", 9)
    assert vendi_score(features[::-1]) == pytest.approx(whole, rel=1e-12)


def test_a_sample_without_direction_is_refused() -> None:
    with pytest.raises(UnmeasurableInput, match="only zero features"):
        vendi_score(np.array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(UnmeasurableInput, match="no samples"):
        vendi_score(np.empty((0, 3)))
