"""The area under the curve against closed forms and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from replicalab_metrics.measures.detection import area_under_curve
from replicalab_metrics.measures.inputs import UnmeasurableInput

HALVES = np.repeat([False, True], 5)


def test_scores_that_separate_have_area_one_and_reversed_ones_zero() -> None:
    scores = np.arange(10.0)
    assert area_under_curve(scores, HALVES) == 1.0
    assert area_under_curve(-scores, HALVES) == 0.0


def test_equal_scores_are_chance() -> None:
    assert area_under_curve(np.ones(10), HALVES) == 0.5
    assert area_under_curve(np.tile(np.arange(5.0), 2), HALVES) == 0.5


def test_it_is_the_share_of_pairs_in_order_with_ties_counted_half() -> None:
    # 3 > 1, 3 > 2, 2 > 1, and 2 = 2: 3.5 of 4 pairs.
    scores, is_fake = np.array([1.0, 2.0, 3.0, 2.0]), np.array([False, False, True, True])
    assert area_under_curve(scores, is_fake) == 3.5 / 4


def test_it_agrees_with_scikit_learn_also_for_unequal_numbers_and_ties() -> None:
    rng = np.random.default_rng(0)
    is_fake = rng.random(301) < 0.3
    for scores in (rng.standard_normal(301), rng.integers(0, 6, 301).astype(float)):
        scores += is_fake
        expected = roc_auc_score(is_fake, scores)
        assert area_under_curve(scores, is_fake) == pytest.approx(expected, rel=1e-12)


def test_what_has_no_area_is_refused() -> None:
    with pytest.raises(UnmeasurableInput, match="not finite"):
        area_under_curve(np.array([0.0, np.nan]), np.array([False, True]))
    with pytest.raises(UnmeasurableInput, match="originals and reconstructions"):
        area_under_curve(np.ones(3), np.ones(3, dtype=bool))
