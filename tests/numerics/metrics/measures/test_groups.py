"""Groups for a jackknife, and the coverage of the intervals they give."""

import numpy as np
import pytest

from replicalab_metrics.measures.frechet import frechet_distance
from replicalab_metrics.measures.groups import GroupedSample, balanced_groups
from replicalab_metrics.measures.intervals import Bounds, jackknife_interval

GROUPS = 20

LABELS = np.sort(np.random.default_rng(0).integers(0, 5, 300))
"""Five classes of unlike and odd size."""


def interval(value: float, a: GroupedSample, b: GroupedSample) -> Bounds:
    left_out = []
    for group in range(GROUPS):
        (features_a, weights_a), (features_b, weights_b) = a.without(group), b.without(group)
        left_out.append(frechet_distance(features_a, features_b, weights_a, weights_b))
    return jackknife_interval(value, left_out)


def test_groups_share_every_class_and_their_sizes_evenly() -> None:
    groups = balanced_groups(LABELS, 7, seed=0)
    assert np.ptp(np.bincount(groups)) <= 1
    for class_ in range(5):
        assert np.ptp(np.bincount(groups[class_ == LABELS], minlength=7)) <= 1
    assert not np.array_equal(groups, balanced_groups(LABELS, 7, seed=1))


def test_what_remains_of_a_class_keeps_its_share() -> None:
    features = np.eye(5)[LABELS]
    sample = GroupedSample(features, LABELS, np.arange(300) % 7 // 2)
    kept, weights = sample.without(1)
    assert len(kept) == weights.sum() == pytest.approx((sample.groups != 1).sum())
    np.testing.assert_allclose(weights @ kept / weights.sum(), features.mean(axis=0), rtol=1e-12)


def test_a_sample_of_one_class_is_not_weighted() -> None:
    sample = GroupedSample(np.zeros((9, 2)), np.zeros(9, dtype=np.int64), np.arange(9) % 3)
    assert sample.without(2)[1].tolist() == [1.0] * 6


def test_a_class_within_one_group_is_lost_with_it() -> None:
    labels = np.array([0, 0, 0, 4])
    sample = GroupedSample(np.zeros((4, 1)), labels, np.array([0, 1, 2, 2]))
    features, weights = sample.without(2)
    assert (len(features), weights.tolist()) == (2, [1.0, 1.0])


@pytest.mark.parametrize("is_paired", [True, False], ids=["paired", "independent"])
@pytest.mark.parametrize("separation", [0, 20], ids=["one cloud", "classes far apart"])
def test_the_frechet_interval_covers_the_expected_distance(
    is_paired: bool, separation: float
) -> None:
    # 95 % nominal, asymptotically; 120 trials scatter by 0.02.
    rng = np.random.default_rng(1)
    centres = separation * rng.standard_normal((5, 4))[LABELS]
    values, bounds = [], []
    for trial in range(120):
        real = rng.standard_normal((300, 4))
        start = real if is_paired else rng.standard_normal((300, 4))
        fake = 0.8 * start + 0.3 * rng.standard_normal((300, 4)) + 0.5
        groups = balanced_groups(LABELS, GROUPS, seed=trial)
        other = groups if is_paired else balanced_groups(LABELS, GROUPS, seed=trial + 10_000)
        values.append(frechet_distance(centres + real, centres + fake))
        grouped = [
            GroupedSample(centres + each, LABELS, of_each)
            for each, of_each in ((real, groups), (fake, other))
        ]
        bounds.append(interval(values[-1], *grouped))
    covered = np.mean([low <= np.mean(values) <= high for low, high in bounds])
    widths = [high - low for low, high in bounds]
    assert covered >= 0.89
    assert np.mean(widths) < 1.4 * 2 * 1.96 * np.std(values), "no wider than it must be"
