"""Verdicts follow their rules, and doubt is never counted as proof."""

from collections.abc import Callable

import pytest

from replicalab.domain.measures import Measurement, Reference
from replicalab_metrics.reports.findings import Verdict, findings

Measured = Callable[..., Measurement]


def verdict_of(statement: str, measurements: list[Measurement]) -> Verdict:
    (found,) = (each for each in findings(measurements) if statement in each.statement)
    return found.verdict


def curve(
    measured: Measured, name: str, *points: tuple[int, float], **kwargs: object
) -> list[Measurement]:
    return [measured(name, t_re, value, **kwargs) for t_re, value in points]


@pytest.mark.parametrize(
    ("last", "verdict"),
    [(0.90, Verdict.SUPPORTED), (0.94, Verdict.UNDECIDED), (0.99, Verdict.NOT_SUPPORTED)],
)
def test_accuracy_falls_only_beyond_its_intervals(
    measured: Measured, last: float, verdict: Verdict
) -> None:
    measurements = curve(measured, "accuracy", (0, 0.95), (18, last), margin=0.02)
    assert verdict_of("lose accuracy", measurements) is verdict


def test_a_fall_without_intervals_is_undecided(measured: Measured) -> None:
    measurements = curve(measured, "accuracy", (0, 0.95), (18, 0.5), margin=None)
    assert verdict_of("lose accuracy", measurements) is Verdict.UNDECIDED


def test_a_single_set_decides_nothing(measured: Measured) -> None:
    measurements = curve(measured, "accuracy", (18, 0.5))
    assert verdict_of("lose accuracy", measurements) is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0, 5, 9.9, 10), Verdict.SUPPORTED),
        ((0, 3, 6.6, 10), Verdict.NOT_SUPPORTED),
        ((0, 5, 8.05, 10), Verdict.UNDECIDED),
        ((0, 0, 0.1, 0.1), Verdict.UNDECIDED),
    ],
    ids=["flat end", "straight line", "too close to call", "never rose"],
)
def test_a_distance_saturates_when_the_last_third_adds_little(
    measured: Measured, values: tuple[float, ...], verdict: Verdict
) -> None:
    points = zip((0, 6, 12, 18), values, strict=True)
    measurements = curve(
        measured, "frechet_distance", *points, margin=0.1, reference=Reference.TRAIN
    )
    assert verdict_of("saturates", measurements) is verdict


def test_saturation_needs_a_set_between_two_thirds_and_the_end(measured: Measured) -> None:
    measurements = curve(
        measured, "frechet_distance", (0, 0), (6, 5), (18, 10), reference=Reference.TRAIN
    )
    assert not any("saturates" in each.statement for each in findings(measurements))


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
        *curve(measured, "recall", (0, 1.0), (18, recall), reference=Reference.TRAIN),
        *curve(measured, "precision", (0, 1.0), (18, precision), reference=Reference.TRAIN),
    ]
    assert verdict_of("Recall falls", measurements) is verdict


@pytest.mark.parametrize(
    ("entropy", "verdict"),
    [
        (0.05, Verdict.SUPPORTED),
        (0.225, Verdict.UNDECIDED),
        (0.5, Verdict.NOT_SUPPORTED),
    ],
)
def test_confidence_is_measured_against_a_pure_guess(
    measured: Measured, entropy: float, verdict: Verdict
) -> None:
    # A tenth of ln 10 is 0.230 nats.
    measurements = curve(
        measured, "real_classifier_entropy", (18, entropy), unit="nats", recipe={"classes": 10}
    )
    assert verdict_of("stays confident", measurements) is verdict


def test_the_held_out_set_is_no_reference_for_the_sweep(measured: Measured) -> None:
    measurements = curve(measured, "frechet_distance", (0, 0), (18, 10), reference=Reference.TEST)
    assert findings(measurements) == []


def test_evidence_gives_the_numbers(sweep: list[Measurement]) -> None:
    accuracy = findings(sweep)[0]
    assert accuracy.evidence == (
        "t_re 0: 95.0 % (95 % interval 94.0 to 96.0); t_re 18: 85.0 % (95 % interval 84.0 to 86.0)."
    )
