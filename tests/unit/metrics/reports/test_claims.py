"""Verdicts follow their rules, and doubt is never counted as proof."""

import itertools
from collections.abc import Callable, Sequence

import pytest

from replicalab.domain.measures import Measurement, Reference
from replicalab_metrics.reports.claim_table import claim_rows, claims_document
from replicalab_metrics.reports.claims import CLAIMS, Judgement, Verdict, judge
from replicalab_metrics.reports.illustrations import ILLUSTRATIONS

Measured = Callable[..., Measurement]

FIGURES = [slug for slug, *_ in ILLUSTRATIONS]
STEPS = (0, 6, 12, 18)


def judged(name: str, measurements: Sequence[Measurement]) -> Judgement:
    (found,) = (each for each in judge(measurements) if each.claim.name == name)
    return found


def curve(
    measured: Measured, name: str, values: Sequence[float], **kwargs: object
) -> list[Measurement]:
    steps = STEPS if len(values) == 4 else (STEPS[0], STEPS[-1])
    return [
        measured(name, t_re, value, **kwargs) for t_re, value in zip(steps, values, strict=True)
    ]


def runs(
    measured: Measured,
    values: Sequence[float],
    *,
    seeds: int = 3,
    spread: float = 0.01,
    name: str = "seed_accuracy",
) -> list[Measurement]:
    """Every seed has a level of its own, and the same course."""
    return [
        each
        for seed in range(seeds)
        for each in curve(
            measured,
            name,
            [value + spread * seed for value in values],
            recipe={"classifier_seed": seed},
        )
    ]


def distances(measured: Measured, values: Sequence[float]) -> list[Measurement]:
    return curve(measured, "frechet_distance", values, margin=0.1, reference=Reference.TRAIN)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.9, 0.8, 0.7, 0.6), Verdict.SUPPORTED),
        ((0.6, 0.7, 0.8, 0.9), Verdict.NOT_SUPPORTED),
        ((0.7, 0.9, 0.6, 0.8), Verdict.UNDECIDED),
        ((0.8, 0.8, 0.8, 0.8), Verdict.UNDECIDED),
    ],
    ids=["falls", "rises", "no order", "all alike"],
)
def test_accuracy_falls_by_its_trend(
    measured: Measured, values: tuple[float, ...], verdict: Verdict
) -> None:
    found = judged("accuracy-falls", runs(measured, values))
    assert found.verdict is verdict
    if verdict is Verdict.SUPPORTED:
        # Each of three seeds has one order of 24 that falls throughout; two sides.
        assert found.p == pytest.approx(2 / 24**3)


@pytest.mark.parametrize(
    ("seeds", "verdict"), [(1, Verdict.UNDECIDED), (3, Verdict.UNDECIDED), (6, Verdict.SUPPORTED)]
)
def test_of_two_sets_few_seeds_decide_nothing(
    measured: Measured, seeds: int, verdict: Verdict
) -> None:
    found = judged("accuracy-falls", runs(measured, (0.9, 0.5), seeds=seeds))
    assert found.verdict is verdict
    (row,) = claim_rows([found], FIGURES)
    expected = {
        1: "Not tested: A paired test needs two seeds, not 1.",
        3: "So few seeds cannot decide: no p below 0.25 can occur.",
        6: "Sign-flip test (exact), mean difference = 0.4.",
    }
    assert row.evidence[0].endswith(expected[seeds])


def test_one_seed_has_no_trend(measured: Measured) -> None:
    found = judged("accuracy-falls", runs(measured, (0.9, 0.8, 0.7, 0.6), seeds=1))
    assert (found.verdict, found.p) == (Verdict.UNDECIDED, None)


def test_a_seed_that_lacks_a_set_is_left_out(measured: Measured) -> None:
    complete = runs(measured, (0.9, 0.8, 0.7, 0.6), seeds=4)
    found = judged("accuracy-falls", complete[:-1])
    assert found.evidence[0].n == "3 seeds on 4 sets"


def test_a_single_set_decides_nothing(measured: Measured) -> None:
    one = [measured("seed_accuracy", 18, 0.5, recipe={"classifier_seed": seed}) for seed in (0, 1)]
    one += [measured("frechet_distance", 18, 5, reference=Reference.TRAIN)]
    verdicts = [each.verdict for each in judge(one)]
    assert verdicts == [Verdict.UNDECIDED] * 4 + [Verdict.NOT_ASKED_FOR] * 3


@pytest.mark.parametrize(
    ("values", "rises", "saturates"),
    [
        ((0, 5, 9.9, 10), Verdict.SUPPORTED, Verdict.SUPPORTED),
        ((0, 3, 6.6, 10), Verdict.SUPPORTED, Verdict.NOT_SUPPORTED),
        ((0, 5, 8.05, 10), Verdict.SUPPORTED, Verdict.UNDECIDED),
        ((0, 0, 0.1, 0.1), Verdict.UNDECIDED, Verdict.UNDECIDED),
        ((10, 9.9, 5, 0), Verdict.NOT_SUPPORTED, Verdict.NOT_SUPPORTED),
    ],
    ids=["flat end", "straight line", "too close to call", "never rose", "falls"],
)
def test_a_distance_saturates_when_the_last_third_adds_little(
    measured: Measured, values: tuple[float, ...], rises: Verdict, saturates: Verdict
) -> None:
    measurements = distances(measured, values)
    assert judged("distance-rises", measurements).verdict is rises
    assert judged("distance-saturates", measurements).verdict is saturates


def test_saturation_needs_a_set_between_two_thirds_and_the_end(measured: Measured) -> None:
    found = judged("distance-saturates", distances(measured, (0, 10)))
    assert (found.verdict, found.p) == (Verdict.UNDECIDED, None)
    assert "no set between two thirds" in found.evidence[1].reason


@pytest.mark.parametrize(
    ("accuracies", "distance", "seeds", "verdict"),
    [
        ((0.9, 0.8, 0.7, 0.6), (0, 5, 9.9, 10), 8, Verdict.SUPPORTED),
        ((0.9, 0.8, 0.7, 0.6), (0, 5, 9.9, 10), 3, Verdict.UNDECIDED),
        ((0.9, 0.8, 0.6, 0.7), (0, 5, 9.9, 10), 10, Verdict.NOT_SUPPORTED),
        ((0.9, 0.8, 0.7, 0.6), (0, 3, 6.6, 10), 8, Verdict.NOT_SUPPORTED),
    ],
    ids=["both", "too few seeds", "accuracy recovers", "distance goes on"],
)
def test_a_distance_misses_the_loss_where_it_is_flat_and_accuracy_falls(
    measured: Measured,
    accuracies: tuple[float, ...],
    distance: tuple[float, ...],
    seeds: int,
    verdict: Verdict,
) -> None:
    measurements = [*runs(measured, accuracies, seeds=seeds), *distances(measured, distance)]
    assert judged("distance-misses-the-loss", measurements).verdict is verdict


@pytest.mark.parametrize(
    ("recall", "precision", "verdict"),
    [
        (0.6, 0.9, Verdict.SUPPORTED),
        (0.9, 0.6, Verdict.NOT_SUPPORTED),
        (0.9, 0.905, Verdict.UNDECIDED),
        (1.0, 1.0, Verdict.UNDECIDED),
    ],
)
def test_recall_must_fall_further_than_precision(
    measured: Measured, recall: float, precision: float, verdict: Verdict
) -> None:
    measurements = [
        *curve(measured, "recall", (1.0, recall), reference=Reference.TRAIN),
        *curve(measured, "precision", (1.0, precision), reference=Reference.TRAIN),
    ]
    assert judged("recall-falls-further", measurements).verdict is verdict


def test_whoever_looks_for_a_part_that_fails_pays_for_every_look(measured: Measured) -> None:
    measurements = [
        *curve(measured, "recall", (1.0, 0.98), reference=Reference.TRAIN),
        *curve(measured, "precision", (1.0, 0.93), reference=Reference.TRAIN),
    ]
    found = judged("recall-falls-further", measurements)
    sides = [part.tails.less for part in found.evidence if part.tails]
    assert len(sides) == 2
    assert found.p == pytest.approx(2 * 2 * min(sides))


@pytest.mark.parametrize(
    ("last", "verdict"),
    [(0.3, Verdict.SUPPORTED), (0.49, Verdict.UNDECIDED), (0.7, Verdict.NOT_SUPPORTED)],
)
def test_entropy_falls_only_beyond_its_intervals(
    measured: Measured, last: float, verdict: Verdict
) -> None:
    measurements = curve(measured, "real_classifier_entropy", (0.5, last), unit="nats", margin=0.02)
    assert judged("entropy-falls", measurements).verdict is verdict


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.1, 0.9, 0.8, 0.7), Verdict.SUPPORTED),
        ((0.9, 0.6, 0.7, 0.8), Verdict.NOT_SUPPORTED),
        ((0.9, 0.6, 0.6, 0.6), Verdict.UNDECIDED),
    ],
    ids=["falls", "rises", "falls only from the real set"],
)
def test_attention_drifts_by_the_trend_of_the_reconstructed_sets(
    measured: Measured, values: tuple[float, ...], verdict: Verdict
) -> None:
    found = judged("attention-drifts", runs(measured, values, name="seed_heat_map_correlation"))
    assert found.verdict is verdict
    assert found.evidence[0].part == "fall of the heat maps' correlation from t_re 6 to 18"
    assert found.evidence[0].n == "3 seeds on 3 sets"


def test_a_change_without_intervals_is_undecided(measured: Measured) -> None:
    measurements = curve(measured, "real_classifier_entropy", (0.5, 0.1), unit="nats", margin=None)
    found = judged("entropy-falls", measurements)
    assert (found.verdict, found.p) == (Verdict.UNDECIDED, None)


def test_claims_are_corrected_for_their_number(measured: Measured) -> None:
    # Alone, a fall of 1.05 margins' hypotenuses has p just below 0.05.
    entropy = curve(
        measured, "real_classifier_entropy", (0.5, 0.5 - 0.0148), unit="nats", margin=0.01
    )
    assert judged("entropy-falls", entropy).verdict is Verdict.SUPPORTED
    among = judged("entropy-falls", [*entropy, *runs(measured, (0.7, 0.9, 0.6, 0.8))])
    assert among.p == judged("entropy-falls", entropy).p
    assert among.verdict is Verdict.UNDECIDED


def test_what_was_not_measured_was_not_asked_for(measured: Measured) -> None:
    held_out = curve(measured, "frechet_distance", (0, 10), reference=Reference.TEST)
    assert {each.verdict for each in judge(held_out)} == {Verdict.NOT_ASKED_FOR}
    assert claim_rows(judge(held_out), FIGURES) == []


def test_values_of_single_classes_are_no_values_of_the_set(measured: Measured) -> None:
    of_a_class = [
        each.model_copy(update={"part": "class 3"})
        for name in ("precision", "recall")
        for each in curve(measured, name, (1.0, 0.5), reference=Reference.TRAIN)
    ]
    assert {each.verdict for each in judge(of_a_class)} == {Verdict.NOT_ASKED_FOR}


def test_every_claim_points_to_a_figure_there_is(sweep: list[Measurement]) -> None:
    assert {claim.figure for claim in CLAIMS} <= set(FIGURES)
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    for row in claim_rows(judge(sweep), FIGURES):
        assert row.figure is not None
        slug, number = row.figure
        assert FIGURES[number - 1] == slug


def test_a_figure_the_page_lacks_is_not_linked(sweep: list[Measurement]) -> None:
    assert all(row.figure is None for row in claim_rows(judge(sweep), ["images"]))


def test_the_order_of_measurements_decides_nothing(sweep: list[Measurement]) -> None:
    assert claims_document(judge(sweep[::-1])) == claims_document(judge(sweep))


def test_evidence_gives_the_numbers(sweep: list[Measurement]) -> None:
    row = claim_rows(judge(sweep), FIGURES)[0]
    assert row.evidence == [
        "Fall of accuracy from t_re 0 to 18: 10.0 percentage points (95 % interval 10.0 to 10.0); "
        "n = 3 seeds on 3 sets. Page's trend test (exact), L = 42."
    ]
    assert row.verdict == "supported"
    assert row.p == f"{2 / 216:.2g}"


def test_programs_get_the_numbers_behind_every_verdict(sweep: list[Measurement]) -> None:
    documents = claims_document(judge(sweep))
    assert [each["name"] for each in documents] == [claim.name for claim in CLAIMS]
    for document, judgement in zip(documents, judge(sweep), strict=True):
        assert document["verdict"] == judgement.verdict
        assert document["p_adjusted"] == judgement.adjusted_p
        assert isinstance(document["evidence"], list)
        assert len(document["evidence"]) == len(judgement.evidence)
    p_values = sorted(each.p for each in judge(sweep) if each.p is not None)
    adjusted = sorted(each.adjusted_p for each in judge(sweep) if each.adjusted_p is not None)
    assert all(plain <= corrected for plain, corrected in zip(p_values, adjusted, strict=True))
    assert all(a <= b for a, b in itertools.pairwise(adjusted))
