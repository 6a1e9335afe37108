"""Precision and recall against the definition, golden numbers and prdc."""

from typing import Any

import numpy as np
import pytest

from replicalab_metrics.measures import neighbours
from replicalab_metrics.measures.neighbours import is_in_any_ball, squared_radii
from replicalab_metrics.measures.precision_recall import manifold_membership

Golden = tuple[dict[str, Any], np.ndarray, np.ndarray]


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    gaps = a.astype(np.float64)[:, None] - b.astype(np.float64)[None]
    return np.asarray(np.square(gaps).sum(axis=2))


def test_a_set_lies_on_its_own_manifold() -> None:
    features = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    membership = manifold_membership(features, features, k=3)
    assert (membership.precision, membership.recall) == (1.0, 1.0)


def test_distant_sets_share_nothing() -> None:
    features = np.random.default_rng(1).standard_normal((40, 5)).astype(np.float32)
    membership = manifold_membership(features, features + 100, k=3)
    assert (membership.precision, membership.recall) == (0.0, 0.0)


def test_a_set_that_keeps_one_of_two_modes_is_precise_and_recalls_half() -> None:
    rng = np.random.default_rng(2)
    modes = rng.standard_normal((2, 50, 4)) + np.array([0, 1000])[:, None, None]
    membership = manifold_membership(modes.reshape(100, 4), modes[0], k=3)
    assert (membership.precision, membership.recall) == (1.0, 0.5)


def test_radii_are_distances_to_the_kth_other_sample() -> None:
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert squared_radii(line, 1).tolist() == [1, 1, 4, 16]
    assert squared_radii(line, 2).tolist() == [9, 4, 9, 36]
    assert squared_radii(line, 3).tolist() == [49, 36, 16, 49]


def test_a_ball_holds_its_edge() -> None:
    centres = np.array([[0.0, 0.0]])
    points = np.array([[3.0, 4.0], [3.0, np.nextafter(4.0, 5.0)]])
    assert is_in_any_ball(points, centres, np.array([25.0])).tolist() == [True, False]


@pytest.mark.parametrize("offset", [0.0, 1e4], ids=["centred", "far from the origin"])
@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25], ids=["tiny", "usual", "huge"])
def test_lattices_full_of_ties_are_decided_as_in_float64(offset: float, scale: float) -> None:
    # Ties everywhere, more digits than float32 holds: only the re-check can be right.
    rng = np.random.default_rng(3)
    real, fake = ((rng.integers(0, 4, (60, 6)) / 3 + offset) * scale for _ in range(2))
    radii = np.sort(squared_distances(real, real), axis=1)[:, 3]
    expected = (squared_distances(fake, real) <= radii).any(axis=1)
    assert squared_radii(real, 3).tolist() == radii.tolist()
    assert is_in_any_ball(fake, real, radii).tolist() == expected.tolist()
    assert 0 < expected.mean() < 1


def test_the_block_size_does_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    real, fake = (rng.standard_normal((50, 7)).astype(np.float32) for _ in range(2))
    whole = manifold_membership(real, fake, k=2)
    monkeypatch.setattr(neighbours, "BLOCK_ENTRIES", 120)
    blocks = manifold_membership(real, fake, k=2)
    assert blocks.fake_in_real.tolist() == whole.fake_in_real.tolist()
    assert blocks.real_in_fake.tolist() == whole.real_in_fake.tolist()


@pytest.mark.parametrize("golden_case", [(500, 500, 64), (200, 300, 256)], indirect=True, ids=str)
@pytest.mark.parametrize("k", [3, 5])
def test_golden_shares(golden_case: Golden, k: int) -> None:
    case, real, fake = golden_case
    membership = manifold_membership(real, fake, k)
    assert membership.precision == pytest.approx(case[f"prdc_k{k}"]["precision"], abs=1e-12)
    assert membership.recall == pytest.approx(case[f"prdc_k{k}"]["recall"], abs=1e-12)


def test_prdc_finds_the_same_shares() -> None:
    prdc = pytest.importorskip("prdc")
    rng = np.random.default_rng(5)
    real = rng.standard_normal((150, 8))
    fake = rng.standard_normal((120, 8)) * 0.7
    theirs = prdc.compute_prdc(real_features=real, fake_features=fake, nearest_k=4)
    membership = manifold_membership(real, fake, k=4)
    assert membership.precision == pytest.approx(theirs["precision"], abs=1e-12)
    assert membership.recall == pytest.approx(theirs["recall"], abs=1e-12)
