"""The kernel distance against the definition, golden numbers, torch-fidelity and simulation."""

from typing import Any

import numpy as np
import pytest

from replicalab_metrics.measures import kernel_distance as kernel_distances
from replicalab_metrics.measures import kernels, tiles
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.kernel_distance import (
    kernel_distance,
    paired_kernel_distance,
    subset_kernel_distances,
)

Golden = tuple[dict[str, Any], np.ndarray, np.ndarray]


def by_definition(real: np.ndarray, fake: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

    n, m = len(real), len(fake)
    within_real, within_fake = kernel(real, real), kernel(fake, fake)
    return float(
        (within_real.sum() - within_real.trace()) / (n * (n - 1))
        + (within_fake.sum() - within_fake.trace()) / (m * (m - 1))
        - 2 * kernel(real, fake).mean()
    )


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((70, 5)) + 2, rng.standard_normal((50, 5)) * 1.2 + 2.1


def test_the_distance_of_all_samples_is_that_of_the_definition(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    assert kernel_distance(*pair).value == pytest.approx(by_definition(*pair), rel=1e-12)


def test_the_two_sets_may_change_places(pair: tuple[np.ndarray, np.ndarray]) -> None:
    forth, back = kernel_distance(*pair), kernel_distance(pair[1][::-1], pair[0])
    assert forth == pytest.approx(back, rel=1e-10)


@pytest.mark.parametrize("rows", [17, 60])
@pytest.mark.parametrize(("subsets", "size"), [(3, 10), (40, 30)], ids=["few", "many"])
def test_neither_tiles_nor_strips_change_the_distance(
    pair: tuple[np.ndarray, np.ndarray],
    rows: int,
    subsets: int,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = kernel_distance(*pair)
    of_subsets = subset_kernel_distances(*pair, subsets=subsets, size=size, seed=1)
    monkeypatch.setattr(tiles, "TILE_ROWS", rows)
    monkeypatch.setattr(kernels, "STRIP_ROWS", 13)
    assert kernel_distance(*pair) == pytest.approx(whole, rel=1e-10)
    again = subset_kernel_distances(*pair, subsets=subsets, size=size, seed=1)
    np.testing.assert_allclose(again, of_subsets, rtol=1e-9)


@pytest.mark.parametrize(("subsets", "size"), [(3, 10), (40, 30)], ids=["few", "many"])
def test_subsets_are_drawn_as_others_draw_them(
    pair: tuple[np.ndarray, np.ndarray], subsets: int, size: int
) -> None:
    real, fake = pair
    draws = np.random.RandomState(5)
    expected = []
    for _ in range(subsets):
        reals = real[draws.choice(len(real), size, replace=False)]
        expected.append(by_definition(reals, fake[draws.choice(len(fake), size, replace=False)]))
    found = subset_kernel_distances(real, fake, subsets=subsets, size=size, seed=5)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("shift", [0.0, 0.4], ids=["equal sets", "shifted sets"])
def test_the_standard_error_is_the_spread_over_new_draws(shift: float) -> None:
    rng = np.random.default_rng(2)
    values, variances = [], []
    for _ in range(600):
        real, fake = rng.standard_normal((40, 6)), rng.standard_normal((25, 6)) * 0.9 + shift
        value, error = kernel_distance(real, fake)
        values.append(value)
        variances.append(error**2)
    # 600 draws know a spread to 3 %, and less where the cubic kernel has heavy tails.
    assert np.sqrt(np.mean(variances)) == pytest.approx(np.std(values), rel=0.1)


def given_classes(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Three well separated classes of equal size."""
    labels = np.arange(n) % 3
    return 2 * np.eye(3, 4)[labels] + rng.standard_normal((n, 4)), labels


@pytest.mark.parametrize("shift", [0.0, 0.3], ids=["equal sets", "shifted sets"])
def test_given_class_sizes_count_neither_as_distance_nor_as_error(shift: float) -> None:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        (real, real_labels), (fake, fake_labels) = given_classes(rng, 60), given_classes(rng, 39)
        found.append(kernel_distance(real, fake + shift, real_labels, fake_labels))
    values, errors = np.array(found).T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.std(values), rel=0.15)
    if shift == 0:
        assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))


def test_pairs_vary_together() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(300):
        real, labels = given_classes(rng, 60)
        fake = real + 0.3 + 0.3 * rng.standard_normal(real.shape)
        found.append(paired_kernel_distance(real, fake, labels))
    values, errors = np.array(found).T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.std(values), rel=0.15)


@pytest.mark.parametrize("rows", [17, 60])
def test_pairs_are_summed_up_in_tiles(
    pair: tuple[np.ndarray, np.ndarray], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = pair[0][:50], pair[1]
    labels = np.arange(50) % 4
    whole, apart = paired_kernel_distance(real, fake, labels), kernel_distance(*pair)
    classes = kernel_distance(real, fake, labels, labels)
    monkeypatch.setattr(tiles, "TILE_ROWS", rows)
    assert paired_kernel_distance(real, fake, labels) == pytest.approx(whole, rel=1e-9)
    assert kernel_distance(real, fake, labels, labels) == pytest.approx(classes, rel=1e-9)
    assert kernel_distance(*pair) == pytest.approx(apart, rel=1e-9)


def test_a_set_is_at_distance_zero_from_itself_without_doubt(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    real, _ = pair
    assert paired_kernel_distance(real, real.copy()) == (0, 0)


def test_a_class_too_small_to_stand_alone_is_taken_as_drawn(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    real, fake = pair
    labels = np.r_[0, 0, np.full(68, 1)]
    assert kernel_distance(real, fake, labels) == kernel_distance(real, fake)


def test_sets_of_unlike_size_are_no_pairs(pair: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(UnmeasurableInput, match="70 sources are no pairs with 50"):
        paired_kernel_distance(*pair)


def test_equal_distributions_are_at_distance_zero_on_average() -> None:
    rng = np.random.default_rng(3)
    found = [
        kernel_distance(rng.standard_normal((30, 3)), rng.standard_normal((20, 3))).value
        for _ in range(200)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    assert min(found) < 0 < max(found)


@pytest.mark.parametrize(
    "golden_case", [(500, 500, 64), (2000, 1500, 64), (200, 300, 256)], indirect=True, ids=str
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_golden_distances(golden_case: Golden, dtype: type, tolerance: float) -> None:
    case, real, fake = golden_case
    theirs = case["kid_torch_fidelity_f64"]
    found = subset_kernel_distances(
        real.astype(dtype),
        fake.astype(dtype),
        subsets=theirs["subsets"],
        size=theirs["subset_size"],
        seed=theirs["rng_seed"],
    )
    mean, std = theirs["kernel_inception_distance_mean"], theirs["kernel_inception_distance_std"]
    assert found.mean() == pytest.approx(mean, rel=tolerance)
    assert found.std() == pytest.approx(std, rel=tolerance)


@pytest.mark.slow  # imports torch
def test_torch_fidelity_computes_the_same_distance(pair: tuple[np.ndarray, np.ndarray]) -> None:
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    torch = pytest.importorskip("torch")
    theirs = kid.kid_features_to_metric(
        *(torch.from_numpy(features) for features in pair),
        kid_subsets=20,
        kid_subset_size=30,
        rng_seed=7,
        verbose=False,
    )
    found = subset_kernel_distances(*pair, subsets=20, size=30, seed=7)
    assert found.mean() == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


def test_sets_too_small_for_the_estimate_are_refused(pair: tuple[np.ndarray, np.ndarray]) -> None:
    real, fake = pair
    with pytest.raises(UnmeasurableInput, match="at least 4"):
        kernel_distance(real, fake[:3])
    for size in (1, 51):
        with pytest.raises(UnmeasurableInput, match="2 to 50 samples"):
            subset_kernel_distances(real, fake, subsets=1, size=size, seed=0)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_features_whose_kernel_is_no_number_are_refused_and_only_those(
    pair: tuple[np.ndarray, np.ndarray], precision: type[np.floating]
) -> None:
    real, fake = (features.astype(precision) for features in pair)
    largest = max(np.abs(real).max(), np.abs(fake).max())
    limit = kernel_distances._largest_feature(real.shape[1], np.dtype(precision))
    fitting = precision(limit / largest * 0.99)
    assert np.isfinite(kernel_distance(real * fitting, fake * fitting)).all()
    with pytest.raises(UnmeasurableInput, match="Scale both sets alike"):
        kernel_distance(real * fitting * precision(1.1), fake * fitting)


def test_a_set_that_copies_the_other_in_another_order_is_nearer_than_fresh_draws() -> None:
    real = np.random.default_rng(5).standard_normal((200, 6)).astype(np.float32)
    value, error = paired_kernel_distance(real, np.roll(real, 1, axis=0))
    assert value < 0
    assert error > 0, "a copied set is a finite population, whose means do not spread: no certainty"


def test_equal_pairs_are_at_distance_zero_to_the_last_bit() -> None:
    real = np.random.default_rng(6).standard_normal((200, 64)).astype(np.float32)
    assert paired_kernel_distance(real, real.copy()) == (0.0, 0.0)
