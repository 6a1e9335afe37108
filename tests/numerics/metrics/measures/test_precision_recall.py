"""Precision, recall, density and coverage against the definition, golden numbers and prdc."""

from typing import Any

import numpy as np
import pytest

from replicalab_metrics.measures import tiles
from replicalab_metrics.measures.balls import count_memberships
from replicalab_metrics.measures.neighbours import squared_radii
from replicalab_metrics.measures.precision_recall import (
    ManifoldMembership,
    fidelity_to_balls,
    manifold_membership,
)

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
    counts = count_memberships(points, centres, np.array([25.0]))
    assert (counts.balls.tolist(), counts.samples.tolist()) == ([1, 0], [1])


@pytest.mark.parametrize("offset", [0.0, 1e4], ids=["centred", "far from the origin"])
@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25], ids=["tiny", "usual", "huge"])
def test_lattices_full_of_ties_are_decided_as_in_float64(offset: float, scale: float) -> None:
    # Ties everywhere, more digits than float32 holds: only the re-check can be right.
    rng = np.random.default_rng(3)
    real, fake = ((rng.integers(0, 4, (60, 6)) / 3 + offset) * scale for _ in range(2))
    radii = np.sort(squared_distances(real, real), axis=1)[:, 3]
    expected = squared_distances(fake, real) <= radii
    assert squared_radii(real, 3).tolist() == radii.tolist()
    counts = count_memberships(fake, real, radii)
    assert counts.balls.tolist() == expected.sum(axis=1).tolist()
    assert counts.samples.tolist() == expected.sum(axis=0).tolist()
    assert 0 < expected.any(axis=1).mean() < 1


def shares_of(membership: ManifoldMembership) -> dict[str, float]:
    names = ("precision", "recall", "density", "coverage")
    return {name: getattr(membership, name) for name in names}


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    real, fake = rng.standard_normal((150, 8)), rng.standard_normal((120, 8)) * 0.7
    return real.astype(np.float32), fake.astype(np.float32)


@pytest.mark.parametrize("rows", [11, 40, 120])
def test_the_block_size_does_not_change_the_answer(
    pair: tuple[np.ndarray, np.ndarray], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = manifold_membership(*pair, k=2)
    monkeypatch.setattr(tiles, "TILE_ROWS", rows)
    monkeypatch.setattr(tiles, "PAIR_COORDINATES", 500)
    blocks = manifold_membership(*pair, k=2)
    assert blocks.counts.balls.tolist() == whole.counts.balls.tolist()
    assert blocks.counts.samples.tolist() == whole.counts.samples.tolist()
    assert blocks.fake_balls.tolist() == whole.fake_balls.tolist()


def test_the_order_of_the_samples_does_not_matter(pair: tuple[np.ndarray, np.ndarray]) -> None:
    real, fake = pair
    order = np.random.default_rng(5).permutation(len(fake))
    shuffled = manifold_membership(real[::-1], fake[order], k=3)
    straight = manifold_membership(real, fake, k=3)
    assert shares_of(shuffled) == shares_of(straight)
    assert shuffled.counts.balls.tolist() == straight.counts.balls[order].tolist()


def test_density_and_coverage_need_no_balls_around_generated_samples(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    real, fake = pair
    alone, together = fidelity_to_balls(real, fake, k=4), manifold_membership(real, fake, k=4)
    assert (alone.density, alone.coverage) == (together.density, together.coverage)
    assert fidelity_to_balls(real, fake[:1], k=4).coverage <= 1


def test_a_set_covers_itself_and_is_as_dense_as_its_balls_are_full() -> None:
    real = np.random.default_rng(6).standard_normal((40, 5)).astype(np.float32)
    fidelity = fidelity_to_balls(real, real, k=3)
    assert fidelity.coverage == 1
    assert fidelity.density == pytest.approx(4 / 3), "a ball holds its centre and k others"


@pytest.mark.slow
def test_equal_gaussians_in_many_dimensions_give_the_published_shares() -> None:
    # Naeem et al. (2020), sec. 4.1, and the unit test of their code.
    rng = np.random.default_rng(7)
    real, fake = (rng.standard_normal((10_000, 1000), dtype=np.float32) for _ in range(2))
    found = shares_of(manifold_membership(real, fake, k=5))
    published = {"precision": 0.477, "recall": 0.471, "coverage": 0.974}
    assert {name: found[name] for name in published} == pytest.approx(published, abs=0.03)
    # Its mean is 1; a few samples near many others make single draws swing (published: 1.056).
    assert found["density"] == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize(
    ("golden_case", "k"),
    [
        ((500, 500, 64), 3),
        ((500, 500, 64), 5),
        ((2000, 1500, 64), 3),
        ((2000, 1500, 64), 5),
        ((200, 300, 256), 3),
        ((200, 300, 256), 5),
        ((1000, 1000, 2048), 3),
    ],
    indirect=["golden_case"],
    ids=str,
)
def test_golden_shares(golden_case: Golden, k: int) -> None:
    case, real, fake = golden_case
    found = shares_of(manifold_membership(real, fake, k))
    assert found == pytest.approx(case[f"prdc_k{k}"], abs=1e-12)
    theirs = case["prc_torch_fidelity_k3"]
    if k == 3:
        assert found["precision"] == pytest.approx(theirs["precision"], abs=1e-7)
        assert found["recall"] == pytest.approx(theirs["recall"], abs=1e-7)


def test_prdc_finds_the_same_shares(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prdc = pytest.importorskip("prdc")
    real, fake = pair
    theirs = prdc.compute_prdc(
        real_features=real.astype(np.float64), fake_features=fake.astype(np.float64), nearest_k=4
    )
    assert shares_of(manifold_membership(real, fake, k=4)) == pytest.approx(theirs, abs=1e-12)
