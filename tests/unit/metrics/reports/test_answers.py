"""Answers are read set by set, and only those of the same images and seeds are compared."""

import numpy as np
import pytest

from replicalab.engine.handlers import MemoryContext
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.features import TestLogits
from replicalab_metrics.reports.answers import read_answers

LABELS = np.array([0, 1, 2, 0], dtype=np.int64)


def run(seed: int, named: list[int], labels: np.ndarray = LABELS) -> bytes:
    """A run that gives the images the classes ``named``."""
    logits = np.eye(3, dtype=np.float32)[named]
    return TestLogits(logits, labels, seed).to_bytes()


def test_right_answers_stand_by_set_seed_and_image() -> None:
    context = MemoryContext(
        {
            "answers:0": [run(4, [0, 1, 2, 0]), run(2, [0, 1, 2, 1])],
            "answers:9": [run(4, [1, 1, 2, 0]), run(2, [0, 0, 0, 0])],
        }
    )
    answers = read_answers(context, (0, 9))
    assert answers is not None
    assert (answers.t_re, answers.seeds) == ((0, 9), (2, 4))
    assert answers.is_right.astype(int).tolist() == [
        [[1, 1, 1, 0], [1, 1, 1, 1]],
        [[1, 0, 0, 1], [0, 1, 1, 1]],
    ]


def test_only_seeds_that_learnt_from_every_set_are_compared() -> None:
    right = [0, 1, 2, 0]
    context = MemoryContext(
        {"answers:0": [run(0, right), run(1, right)], "answers:9": [run(1, right), run(3, right)]}
    )
    answers = read_answers(context, (0, 9))
    assert answers is not None
    assert answers.seeds == (1,)


def test_reports_that_were_planned_without_answers_have_none() -> None:
    assert read_answers(MemoryContext(), (0, 9)) is None


def test_other_test_images_are_refused() -> None:
    other = np.array([0, 1, 2, 1], dtype=np.int64)
    context = MemoryContext(
        {"answers:0": [run(0, [0, 1, 2, 0])], "answers:9": [run(0, [0, 1, 2, 0], other)]}
    )
    with pytest.raises(InvalidMeasureInput, match="different test sets"):
        read_answers(context, (0, 9))
