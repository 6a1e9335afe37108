"""Sets are compared in pairs of runs with one seed, and for as many as are compared."""

from collections.abc import Callable

import pytest

from replicalab.domain.measures import Measurement
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
    found = comparisons(runs(measured, (0, 0.01, 0.02, 0.03), seeds=2))
    assert [each.t_re for each in found] == [(0, 10), (0, 20), (0, 30), (10, 20), (20, 30)]


def test_seeds_are_their_own_controls(measured: Measured) -> None:
    (found,) = comparisons(runs(measured, (0, 0.01), seeds=8))
    assert found.fall.value == pytest.approx(0.01 * (1 + 0.1 * 3.5))
    assert found.p == found.adjusted_p == found.least_p == 2 / 2**8
    assert 0 < found.fall.low < found.fall.high


def test_pairs_are_corrected_for_their_number(measured: Measured) -> None:
    found = comparisons(runs(measured, (0, 0.01, 0.02), seeds=8))
    assert [each.adjusted_p for each in found] == [3 * each.p for each in found]


def test_three_seeds_cannot_tell_two_sets_apart(measured: Measured) -> None:
    found = comparisons(runs(measured, (0, 0.5), seeds=3))
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
    (row,) = comparison_rows(comparisons(alike[::-1]))
    assert row.fall == "0.0 percentage points (95 % interval 0.0 to 0.0)"


@pytest.mark.parametrize(("falls", "seeds"), [((0, 0.1), 1), ((0,), 3), ((), 3)])
def test_nothing_is_compared_without_two_seeds_and_two_sets(
    measured: Measured, falls: tuple[float, ...], seeds: int
) -> None:
    assert comparisons(runs(measured, falls, seeds)) == []
