"""Means over seeds and images: closed forms, the unbiased variance, coverage and size."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.seeds_and_images import CrossedMean, crossed_mean

TABLES = arrays(
    np.float64,
    st.tuples(st.integers(3, 5), st.integers(2, 9)),
    elements=st.sampled_from([-1.0, 0.0, 1.0]),
)
DRAWS = 600


def differences(
    draws: np.random.Generator, seeds: int, images: int, *, by_seed: float, by_image: float
) -> np.ndarray:
    """Right answers of one model less those of the other, of sets that are equally good.

    Log odds of a right answer are of the image (2 +- 2), and each set moves them anew, by seed
    and by image.
    """
    difficulty = 2 + 2 * draws.standard_normal((1, images))
    right = []
    for _ in range(2):
        moved = by_seed * draws.standard_normal((seeds, 1))
        moved = moved + by_image * draws.standard_normal((1, images))
        right.append(draws.random((seeds, images)) < 1 / (1 + np.exp(-difficulty - moved)))
    return right[0].astype(np.float64) - right[1]


def test_seeds_that_agree_leave_the_paired_test_over_images() -> None:
    row = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 200, p=[0.1, 0.75, 0.15])
    found = crossed_mean(np.tile(row, (4, 1)))
    peer = scipy.stats.ttest_1samp(row, 0)
    assert found.standard_error == pytest.approx(scipy.stats.sem(row))
    assert found.degrees_of_freedom == pytest.approx(199)
    assert found.p == pytest.approx(peer.pvalue)
    assert found.estimate[1:] == pytest.approx(tuple(peer.confidence_interval(0.95)))


def test_images_that_agree_leave_the_test_over_seeds() -> None:
    column = np.array([0.1, -0.05, 0.2, 0.15])
    found = crossed_mean(np.tile(column[:, None], (1, 300)))
    peer = scipy.stats.ttest_1samp(column, 0)
    assert found.standard_error == pytest.approx(scipy.stats.sem(column))
    assert found.degrees_of_freedom == pytest.approx(3)
    assert found.p == pytest.approx(peer.pvalue)


def test_so_many_images_that_their_mean_is_known_leave_the_variance_of_seeds() -> None:
    draws = np.random.default_rng(1)
    effects = np.array([0.3, -0.1, 0.05])
    values = effects[:, None] + draws.standard_normal((3, 200_000))
    found = crossed_mean(values)
    over_seeds = scipy.stats.sem(values.mean(axis=1))
    assert found.standard_error == pytest.approx(over_seeds, rel=1e-3)
    assert found.degrees_of_freedom == pytest.approx(2, rel=1e-3)


def test_the_variance_is_gallas_unbiased_one_by_its_definition() -> None:
    # E[d d'] over pairs of cells that share a seed, an image, both, or neither.
    draws = np.random.default_rng(2)
    values = draws.standard_normal((4, 1)) + draws.standard_normal((1, 6))
    values = values + draws.standard_normal((4, 6))
    cells = list(np.ndindex(*values.shape))
    products: dict[tuple[bool, bool], list[float]] = {}
    for left, right in itertools.product(cells, cells):
        shares = (left[0] == right[0], left[1] == right[1])
        products.setdefault(shares, []).append(float(values[left] * values[right]))
    moments = {shares: np.mean(found) for shares, found in products.items()}
    weights = {shares: len(found) / len(cells) ** 2 for shares, found in products.items()}
    unbiased = sum(weights[shares] * moments[shares] for shares in weights)
    unbiased -= moments[False, False]
    assert crossed_mean(values).standard_error ** 2 == pytest.approx(unbiased)


@pytest.mark.parametrize(
    ("seeds", "images", "by_seed", "by_image"),
    [(3, 300, 0.3, 0.0), (3, 300, 0.3, 1.0), (5, 200, 0.3, 1.0), (5, 200, 0.1, 2.0)],
)
def test_the_test_errs_about_as_often_as_it_says(
    seeds: int, images: int, by_seed: float, by_image: float
) -> None:
    draws = np.random.default_rng(3)
    found = [
        crossed_mean(differences(draws, seeds, images, by_seed=by_seed, by_image=by_image))
        for _ in range(DRAWS)
    ]
    size = np.mean([each.p <= 0.05 for each in found])
    is_covered = [each.estimate.low <= 0 <= each.estimate.high for each in found]
    # Never bolder than published ones (Hillis 2007: up to 0.07 with 3 readers), and three
    # standard errors of 600 draws of 0.05 are 0.027; more cautious where effects are small.
    assert 0.005 < size < 0.07 + 0.01
    assert np.mean(is_covered) == pytest.approx(1 - size, abs=2 / DRAWS)


def test_what_counts_seeds_or_images_alone_errs_far_more_often() -> None:
    draws = np.random.default_rng(4)
    wrong_over_images, wrong_over_seeds = [], []
    for _ in range(DRAWS):
        by_seeds = differences(draws, 3, 500, by_seed=0.3, by_image=0.0).mean(axis=0)
        by_images = differences(draws, 12, 100, by_seed=0.0, by_image=2.0).mean(axis=1)
        wrong_over_images.append(scipy.stats.ttest_1samp(by_seeds, 0).pvalue <= 0.05)
        wrong_over_seeds.append(scipy.stats.ttest_1samp(by_images, 0).pvalue <= 0.05)
    assert np.mean(wrong_over_images) > 0.2
    assert np.mean(wrong_over_seeds) > 0.2


def test_a_difference_is_found_where_there_is_one() -> None:
    draws = np.random.default_rng(5)
    values = (draws.random((3, 500)) < 0.9).astype(np.float64) - (draws.random((3, 500)) < 0.8)
    found = crossed_mean(values)
    assert found.estimate.low < 0.1 < found.estimate.high
    assert found.p < 1e-4
    assert (found.seeds, found.images) == (3, 500)


@given(values=TABLES)
def test_turning_the_sets_round_turns_the_sign_alone(values: np.ndarray) -> None:
    found, turned = crossed_mean(values), crossed_mean(-values)
    assert turned.value == pytest.approx(-found.value)
    assert turned[1:3] == pytest.approx(found[1:3])
    assert turned.p == pytest.approx(found.p)


@given(values=TABLES)
def test_neither_seeds_nor_images_make_the_mean_surer_than_they_say_alone(
    values: np.ndarray,
) -> None:
    found = crossed_mean(values)
    for axis in (0, 1):
        alone = scipy.stats.sem(values.mean(axis=axis))
        assert found.standard_error >= alone * (1 - 1e-9) - 1e-12


def test_a_mean_without_spread_is_certain_unless_it_is_zero() -> None:
    assert crossed_mean(np.ones((3, 4))).p == 0
    assert crossed_mean(np.zeros((3, 4))).p == 1
    assert crossed_mean(np.zeros((3, 4))) == CrossedMean(0.0, 0.0, 2.0, 3, 4)


def test_errors_that_seeds_and_images_share_out_evenly_are_no_certainty() -> None:
    # Every seed has the same mean, and so has every image: only the rest tells of spread.
    values = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    found = crossed_mean(values)
    assert found.standard_error == pytest.approx(np.sqrt(0.5 / 9))


def test_too_small_tables_are_refused() -> None:
    with pytest.raises(UnmeasurableInput, match="3 seeds and 2 images, not 2 and 9"):
        crossed_mean(np.zeros((2, 9)))
    with pytest.raises(UnmeasurableInput, match="3 seeds and 2 images, not 3 and 1"):
        crossed_mean(np.zeros((3, 1)))
    with pytest.raises(UnmeasurableInput, match="not finite"):
        crossed_mean(np.full((3, 3), np.nan))
