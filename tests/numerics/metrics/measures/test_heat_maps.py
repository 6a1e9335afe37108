"""Agreement of heat maps against closed forms, and the enlargement against torch's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from replicalab_metrics.measures.heat_maps import (
    are_constant,
    enlarged,
    map_correlations,
    overlaps,
    top_regions,
)
from replicalab_metrics.measures.inputs import UnmeasurableInput


def maps(seed: int, count: int = 5, side: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).random((count, side, side), dtype=np.float32)


def test_correlations_are_numpys() -> None:
    first, second = maps(0), maps(1)
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    assert map_correlations(first, second) == pytest.approx(expected, abs=1e-12)


def test_scale_and_offset_of_a_map_do_not_matter() -> None:
    first = maps(0)
    assert map_correlations(first, 3 * first + 5) == pytest.approx(np.ones(5), abs=1e-6)
    assert map_correlations(first, 1 - first) == pytest.approx(-np.ones(5), abs=1e-6)
    regions = [top_regions(each, (8, 8), 0.2) for each in (first, 3 * first)]
    assert overlaps(*regions).tolist() == [1.0] * 5


def test_a_map_without_places_is_known_and_has_no_correlation() -> None:
    found = maps(0, 4)
    found[1] = 0
    found[2] = 7.25
    found[3] = 1 + 1e-7 * found[3]
    assert are_constant(found).tolist() == [False, True, True, True]
    for pair in ((found, maps(1, 4)), (maps(1, 4), found)):
        with pytest.raises(UnmeasurableInput, match="has no correlation"):
            map_correlations(*pair)


@pytest.mark.parametrize(("side", "size"), [(2, (8, 8)), (4, (8, 12)), (7, (32, 32)), (8, (5, 4))])
def test_maps_are_enlarged_as_torch_does_it(side: int, size: tuple[int, int]) -> None:
    found = maps(3, side=side)
    expected = functional.interpolate(
        torch.from_numpy(found)[:, None], size, mode="bilinear", antialias=True
    )[:, 0]
    np.testing.assert_allclose(enlarged(found, size), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_region_is_the_top_share_of_the_area() -> None:
    regions = top_regions(maps(0, 3, 10), (10, 10), 0.2)
    assert regions.sum(axis=(1, 2)).tolist() == [20, 20, 20]
    assert top_regions(maps(0, 1, 10), (10, 10), 0.001).sum() == 1
    peak = np.zeros((1, 3, 3), dtype=np.float32)
    peak[0, 0, 2] = 1
    assert np.argwhere(top_regions(peak, (3, 3), 0.1)[0]).tolist() == [[0, 2]]


def test_equal_pixels_are_in_or_out_together_and_zeros_are_out() -> None:
    ties = np.array([[[3, 1, 1], [1, 1, 1], [0, 0, 0]]], dtype=np.float32)
    assert top_regions(ties, (3, 3), 3 / 9).sum() == 6
    assert top_regions(ties, (3, 3), 8 / 9).sum() == 6


def test_overlap_is_intersection_over_union() -> None:
    first, second = np.zeros((2, 3, 2, 2), dtype=bool)
    first[:, 0] = True
    second[0, 0] = second[1, :, 0] = second[2, 1] = True
    assert overlaps(first, second) == pytest.approx([1, 1 / 3, 0])


def test_random_regions_overlap_as_documented() -> None:
    """Share s: s / (2 - s); 4,000 maps bring the mean to a standard error of 0.001."""
    first, second = (top_regions(maps(seed, 4000, 8), (8, 8), 0.25) for seed in (0, 1))
    assert overlaps(first, second).mean() == pytest.approx(0.25 / 1.75, abs=0.005)


def test_what_does_not_pair_up_is_refused() -> None:
    with pytest.raises(UnmeasurableInput, match="same images"):
        map_correlations(maps(0), maps(0, side=3))
    empty = np.zeros((1, 2, 2), dtype=bool)
    with pytest.raises(UnmeasurableInput, match="empty"):
        overlaps(empty, empty)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "finite"), (np.inf, "finite"), (-1, "0")])
def test_maps_that_are_none_are_refused(value: float, words: str) -> None:
    broken = maps(0)
    broken[2, 1, 1] = value
    with pytest.raises(UnmeasurableInput, match=words):
        map_correlations(broken, maps(1))
