"""Accuracy and entropy of a classifier's answers against closed forms."""

import numpy as np
import pytest

from replicalab_metrics.measures.classification import (
    class_flips,
    correct_answers,
    output_entropies,
)
from replicalab_metrics.measures.inputs import UnmeasurableInput


def test_equal_logits_have_the_entropy_of_a_fair_die() -> None:
    assert output_entropies(np.full((1, 10), 3.5)) == pytest.approx([np.log(10)], rel=1e-14)


def test_two_classes_at_odds_of_three_to_one() -> None:
    expected = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert output_entropies(np.log([[3.0, 1.0]])) == pytest.approx([expected], rel=1e-12)


def test_large_logits_neither_overflow_nor_turn_negative() -> None:
    assert output_entropies(np.array([[1e4, -1e4, 0.0]])).tolist() == [0.0]


def test_answers_are_the_largest_logits() -> None:
    logits = np.array([[0.0, 2.0, 1.0], [0.5, 0.1, 0.2], [1.0, 1.0, 0.0]])
    assert correct_answers(logits, np.array([1, 2, 0])).tolist() == [True, False, True]


def test_a_flip_is_another_answer_than_for_the_original() -> None:
    originals = np.eye(3)[[0, 1, 2, 0]]
    assert class_flips(np.eye(3)[[0, 2, 2, 1]], originals).tolist() == [False, True, False, True]
    with pytest.raises(UnmeasurableInput, match="no one-to-one originals"):
        class_flips(np.eye(3), originals)
