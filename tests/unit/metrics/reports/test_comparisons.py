"""Sets are compared in pairs of runs with one seed, and for as many as are compared."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from replicalab.domain.measures import Measurement
from replicalab_metrics.measures.seeds_and_images import crossed_mean
from replicalab_metrics.measures.significance import holm
from replicalab_metrics.reports.answers import RightAnswers
from replicalab_metrics.reports.claim_table import comparison_rows
from replicalab_metrics.reports.comparisons import comparisons, comparisons_document

Measured = Callable[..., Measurement]


def runs(measured: Measured, falls: tuple[float, ...], seeds: int) -> list[Measurement]:
    """Seeds differ by more than the sets do, and fall a little unlike one another."""
    return [
        measured(
            "seed_accuracy",
            10 * level,
            0.8 - fall * (1 + 0.1 * seed) - 0.05 * seed,
            recipe={"classifier_seed": seed},
        )
        for level, fall in enumerate(falls)
        for seed in range(seeds)
    ]


def test_every_set_is_compared_with_the_first_and_with_its_neighbour(measured: Measured) -> None:
    found = comparisons(runs(measured, (0, 0.01, 0.02, 0.03), seeds=2), None)
    assert [each.t_re for each in found] == [(0, 10), (0, 20), (0, 30), (10, 20), (20, 30)]


def test_seeds_are_their_own_controls(measured: Measured) -> None:
    (found,) = comparisons(runs(measured, (0, 0.01), seeds=8), None)
    assert found.fall.value == pytest.approx(0.01 * (1 + 0.1 * 3.5))
    assert found.p == found.adjusted_p == found.least_p == 2 / 2**8
    assert 0 < found.fall.low < found.fall.high


def test_pairs_are_corrected_for_their_number(measured: Measured) -> None:
    found = comparisons(runs(measured, (0, 0.01, 0.02), seeds=8), None)
    assert [each.adjusted_p for each in found] == [3 * each.p for each in found]


def test_three_seeds_cannot_tell_two_sets_apart(measured: Measured) -> None:
    found = comparisons(runs(measured, (0, 0.5), seeds=3), None)
    (row,) = comparison_rows(found)
    assert (row.p, row.least_p, row.seeds) == ("0.25", "0.25", 3)
    (document,) = comparisons_document(found)
    assert (document["p"], document["n"], document["t_re"]) == (0.25, 3, [0, 10])


def test_equal_sets_differ_by_nought_and_not_by_minus_nought(measured: Measured) -> None:
    recipes = [{"classifier_seed": seed} for seed in range(2)]
    alike = [
        measured("seed_accuracy", t_re, 0.8 + 2**-52 * (t_re > 0), recipe=recipe)
        for t_re in (0, 9)
        for recipe in recipes
    ]
    (row,) = comparison_rows(comparisons(alike[::-1], None))
    assert row.fall == "0.0 percentage points (95 % interval 0.0 to 0.0)"


@pytest.mark.parametrize(("falls", "seeds"), [((0, 0.1), 1), ((0,), 3), ((), 3)])
def test_nothing_is_compared_without_two_seeds_and_two_sets(
    measured: Measured, falls: tuple[float, ...], seeds: int
) -> None:
    assert comparisons(runs(measured, falls, seeds), None) == []


def seed_accuracies(measured: Measured, answers: RightAnswers) -> list[Measurement]:
    """What an evaluation reports of the same models."""
    return [
        measured(
            "seed_accuracy",
            t_re,
            float(answers.is_right[place, row].mean()),
            recipe={"classifier_seed": seed},
        )
        for place, t_re in enumerate(answers.t_re)
        for row, seed in enumerate(answers.seeds)
    ]


def test_images_count_beside_seeds(measured: Measured, answers: RightAnswers) -> None:
    found = comparisons(seed_accuracies(measured, answers), answers)
    tested = [each.over_images for each in found if each.over_images]
    assert [each.t_re for each in found] == [(0, 9), (0, 18), (9, 18)]
    for each, over_images in zip(found, tested, strict=True):
        assert over_images.fall == crossed_mean(answers.falls(*each.t_re))
        assert over_images.fall.value == pytest.approx(each.fall.value), "the same fall"
    assert [each.adjusted_p for each in tested] == holm([each.fall.p for each in tested])


def test_a_fall_is_of_right_answers_from_the_first_set_to_the_second() -> None:
    is_right = np.array([[[True, True, False]], [[True, False, False]], [[False, False, True]]])
    answers = RightAnswers((0, 5, 9), (7,), is_right)
    assert answers.falls(0, 5).tolist() == [[0, 1, 0]]
    assert answers.falls(5, 9).tolist() == [[1, 0, -1]]


def test_both_sample_sizes_and_the_method_are_said(
    measured: Measured, answers: RightAnswers
) -> None:
    found = comparisons(seed_accuracies(measured, answers), answers)
    assert {row.over_images.sizes for row in comparison_rows(found)} == {"3 seeds, 50 images"}
    documents = json.loads(json.dumps(comparisons_document(found), allow_nan=False))
    for document, each in zip(documents, found, strict=True):
        over_both = document["over_seeds_and_images"]
        assert (over_both["n_seeds"], over_both["n_images"]) == (3, 50)
        assert "multi-reader multi-case" in over_both["method"]
        assert over_both["p"] <= over_both["p_adjusted"]
        fall = each.over_images.fall if each.over_images else None
        assert fall is not None
        bounds = scipy.stats.t.interval(
            0.95, over_both["degrees_of_freedom"], fall.value, over_both["standard_error"]
        )
        assert (over_both["fall"]["low"], over_both["fall"]["high"]) == pytest.approx(bounds)


def test_two_seeds_are_too_few_to_be_a_sample_beside_images(
    measured: Measured, answers: RightAnswers
) -> None:
    two = dataclasses.replace(answers, seeds=(0, 1), is_right=answers.is_right[:, :2])
    found = comparisons(seed_accuracies(measured, two), two)
    assert [each.over_images for each in found] == [None] * 3
    assert comparison_rows(found)[0].over_images.interval == ""
    assert comparisons_document(found)[0]["over_seeds_and_images"] is None


def test_accuracies_alone_say_nothing_of_images(measured: Measured, answers: RightAnswers) -> None:
    found = comparisons(seed_accuracies(measured, answers), None)
    assert [each.seeds for each in found] == [3] * 3
    assert [each.over_images for each in found] == [None] * 3
