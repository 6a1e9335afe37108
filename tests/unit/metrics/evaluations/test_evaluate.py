"""Evaluations: which measurements every measure reports, and what it refuses."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from replicalab.domain.artifacts import MEASUREMENTS
from replicalab.domain.measures import (
    ALL_MEASURES,
    AccuracyMeasure,
    ClassFlipMeasure,
    FrechetMeasure,
    Measurement,
    MeasureSpec,
    PcaMeasure,
    PrecisionRecallMeasure,
    RealClassifierMeasure,
    Reference,
)
from replicalab.domain.tasks import Evaluate
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.features import FeatureSet, TestLogits
from replicalab_metrics.evaluations.evaluate import FEATURE_MEASURES, evaluate
from replicalab_metrics.measures.classification import output_entropies

FeatureSets = Callable[..., FeatureSet]

COMPARED: list[MeasureSpec] = [each for each in ALL_MEASURES if each.kind in FEATURE_MEASURES]


def measurements_of(
    measure: MeasureSpec, context: MemoryContext, *, t_re: int = 6
) -> list[Measurement]:
    evaluate(context, Evaluate(measure=measure, t_re=t_re, sigma=0.25))
    return context.measurements


def comparison(fake: FeatureSet, train: FeatureSet, test: FeatureSet) -> MemoryContext:
    return MemoryContext(
        {"fake": [fake.to_bytes()], "train": [train.to_bytes()], "test": [test.to_bytes()]}
    )


@pytest.fixture
def context(feature_set: FeatureSets) -> MemoryContext:
    return comparison(feature_set(1, shift=0.4), feature_set(2), feature_set(3, n=50))


def runs(*correct: int, n: int = 10) -> MemoryContext:
    """Training runs that answer so many of ``n`` test images correctly."""
    labels = np.zeros(n, dtype=np.int64)
    answers = [np.arange(n) >= right for right in correct]
    return MemoryContext(
        {
            "runs": [
                TestLogits(np.eye(2, dtype=np.float32)[answer.astype(int)], labels, seed).to_bytes()
                for seed, answer in enumerate(answers)
            ]
        }
    )


def test_accuracy_is_the_mean_over_seeds_and_names_every_seed() -> None:
    mean, *seeds = measurements_of(AccuracyMeasure(), runs(7, 8, 9))
    assert (mean.name, mean.n, mean.n_unit) == ("accuracy", 3, "seeds")
    assert mean.value == pytest.approx(0.8)
    assert mean.std == pytest.approx(0.1)
    assert mean.interval is not None
    assert mean.interval.low == pytest.approx(0.8 - 4.302652729749464 * 0.1 / np.sqrt(3))
    assert mean.interval.high == 1.0, "an accuracy is at most 1"
    assert [(m.name, m.value, m.n, m.recipe["classifier_seed"]) for m in seeds] == [
        ("seed_accuracy", 0.7, 10, 0),
        ("seed_accuracy", 0.8, 10, 1),
        ("seed_accuracy", 0.9, 10, 2),
    ]


def test_one_seed_has_neither_spread_nor_interval() -> None:
    mean = measurements_of(AccuracyMeasure(), runs(7))[0]
    assert (mean.n, mean.std, mean.interval) == (1, None, None)


def test_runs_tested_on_other_images_are_refused() -> None:
    other = runs(7, n=9)
    other.inputs["runs"] += runs(7, 8, n=10).inputs["runs"][1:]
    with pytest.raises(InvalidMeasureInput, match="different test sets"):
        measurements_of(AccuracyMeasure(), other)


def test_a_seed_counted_twice_is_refused() -> None:
    twice = runs(7)
    twice.inputs["runs"] *= 2
    with pytest.raises(InvalidMeasureInput, match="same seed"):
        measurements_of(AccuracyMeasure(), twice)


def test_distances_are_measured_to_both_real_sets(context: MemoryContext) -> None:
    to_train, to_test = measurements_of(FrechetMeasure(), context)
    assert (to_train.reference, to_test.reference) == (Reference.TRAIN, Reference.TEST)
    assert to_test.recipe == {
        "space": "classifier",
        "extractor_sha256": "e" * 64,
        "dimension": 6,
        "n_fake": 60,
        "n_reference": 50,
    }
    for measurement in (to_train, to_test):
        assert measurement.interval is not None
        assert measurement.interval.low < measurement.value < measurement.interval.high


def test_the_real_set_is_at_distance_zero_from_itself_without_doubt(
    feature_set: FeatureSets,
) -> None:
    train = feature_set(2)
    context = comparison(train, train, feature_set(3))
    to_train, to_test = measurements_of(FrechetMeasure(), context, t_re=0)
    assert to_train.value == 0
    assert to_train.interval is not None
    assert to_train.interval.high == pytest.approx(0, abs=1e-12)
    assert to_test.value > 0.01


def test_reconstructions_are_left_out_with_their_originals(feature_set: FeatureSets) -> None:
    train = feature_set(2)
    fake = dataclasses.replace(train, features=train.features * np.float32(1.1))
    apart = dataclasses.replace(fake, indices=fake.indices + 1)
    paired = measurements_of(FrechetMeasure(), comparison(fake, train, train))[0].interval
    unpaired = measurements_of(FrechetMeasure(), comparison(apart, train, train))[0].interval
    assert paired is not None
    assert unpaired is not None
    assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)
    assert "pairs" in paired.method
    assert "pairs" not in unpaired.method


def test_sets_too_small_to_be_cut_into_groups_have_no_interval(feature_set: FeatureSets) -> None:
    context = comparison(feature_set(1, n=39), feature_set(2), feature_set(3, n=40))
    assert [m.interval for m in measurements_of(FrechetMeasure(), context)] == [None, None]


def test_precision_counts_reconstructions_and_recall_real_images(context: MemoryContext) -> None:
    measurements = measurements_of(PrecisionRecallMeasure(neighbours=4), context)
    assert [(m.name, m.reference, m.n) for m in measurements] == [
        ("precision", Reference.TRAIN, 60),
        ("recall", Reference.TRAIN, 60),
        ("precision", Reference.TEST, 60),
        ("recall", Reference.TEST, 50),
    ]
    assert {m.recipe["neighbours"] for m in measurements} == {4}


def test_the_real_set_has_full_precision_and_recall_against_itself(
    feature_set: FeatureSets,
) -> None:
    context = comparison(feature_set(2), feature_set(2), feature_set(3))
    measurements = measurements_of(PrecisionRecallMeasure(), context, t_re=0)
    assert [m.value for m in measurements if m.reference is Reference.TRAIN] == [1.0, 1.0]
    assert all(m.value < 1 for m in measurements if m.reference is Reference.TEST)


def test_a_set_no_larger_than_k_is_refused(feature_set: FeatureSets) -> None:
    context = comparison(feature_set(1, n=3), feature_set(2), feature_set(3))
    with pytest.raises(InvalidMeasureInput, match="at least 4, not 3"):
        measurements_of(PrecisionRecallMeasure(neighbours=3), context)


def test_the_real_classifier_is_measured_on_the_reconstructions(context: MemoryContext) -> None:
    accuracy, entropy = measurements_of(RealClassifierMeasure(), context)
    assert (accuracy.name, accuracy.n, accuracy.unit) == ("real_classifier_accuracy", 60, "1")
    assert (entropy.name, entropy.n, entropy.unit) == ("real_classifier_entropy", 60, "nats")
    assert entropy.interval is not None
    assert 0 <= entropy.interval.low < entropy.value < entropy.interval.high < np.log(3)


def test_with_the_real_set_the_held_out_entropy_is_measured(feature_set: FeatureSets) -> None:
    train, test = feature_set(2), feature_set(3, n=50)
    measurements = measurements_of(RealClassifierMeasure(), comparison(train, train, test), t_re=0)
    held_out = measurements[-1]
    assert (held_out.name, held_out.reference, held_out.n) == (
        "held_out_entropy",
        Reference.TEST,
        50,
    )


def test_reconstructed_test_images_are_measured_at_every_step(
    context: MemoryContext, feature_set: FeatureSets
) -> None:
    reconstructed = feature_set(5, n=40, shift=0.2)
    context.inputs["heldout"] = [reconstructed.to_bytes()]
    *_, held_out = measurements_of(RealClassifierMeasure(held_out=True), context, t_re=6)
    assert (held_out.name, held_out.reference) == ("held_out_entropy", Reference.TEST)
    assert (held_out.t_re, held_out.n) == (6, 40)
    assert held_out.value == pytest.approx(output_entropies(reconstructed.answers).mean())


def test_the_held_out_entropy_of_the_real_set_is_of_real_images_either_way(
    feature_set: FeatureSets,
) -> None:
    train, test = feature_set(2), feature_set(3, n=50)
    found = [
        measurements_of(
            RealClassifierMeasure(held_out=is_asked), comparison(train, train, test), t_re=0
        )[-1]
        for is_asked in (False, True)
    ]
    assert found[0] == found[1]
    assert found[0].value == pytest.approx(output_entropies(test.answers).mean())


def test_reconstructed_test_images_of_another_classifier_are_refused(
    context: MemoryContext, feature_set: FeatureSets
) -> None:
    context.inputs["heldout"] = [feature_set(5, extractor_sha256="f" * 64).to_bytes()]
    with pytest.raises(InvalidMeasureInput, match="unlike extractors"):
        measurements_of(RealClassifierMeasure(held_out=True), context)


@pytest.mark.parametrize("measure", COMPARED, ids=lambda measure: measure.kind)
@pytest.mark.parametrize("role", ["fake", "train", "test"])
def test_features_of_unlike_extractors_are_refused(
    context: MemoryContext, feature_set: FeatureSets, measure: MeasureSpec, role: str
) -> None:
    context.inputs[role] = [feature_set(4, extractor_sha256="f" * 64).to_bytes()]
    with pytest.raises(InvalidMeasureInput, match="unlike extractors"):
        measurements_of(measure, context)


def test_features_of_unlike_spaces_are_refused(
    context: MemoryContext, feature_set: FeatureSets
) -> None:
    other = dataclasses.replace(feature_set(4), space="inception-v3 64")
    context.inputs["fake"] = [other.to_bytes()]
    with pytest.raises(InvalidMeasureInput, match=r"classifier .*, inception-v3 64 "):
        measurements_of(FrechetMeasure(), context)


@pytest.mark.parametrize("measure", [RealClassifierMeasure(), ClassFlipMeasure()])
def test_what_asks_the_classifier_refuses_features_without_answers(
    context: MemoryContext, measure: MeasureSpec
) -> None:
    for role, bodies in context.inputs.items():
        silent = dataclasses.replace(FeatureSet.from_bytes(bodies[0]), logits=None)
        context.inputs[role] = [silent.to_bytes()]
    with pytest.raises(InvalidMeasureInput, match="without logits"):
        measurements_of(measure, context)


def test_features_of_unlike_dimension_are_refused(
    context: MemoryContext, feature_set: FeatureSets
) -> None:
    context.inputs["fake"] = [feature_set(4, dimension=5).to_bytes()]
    with pytest.raises(InvalidMeasureInput, match="unlike extractors"):
        measurements_of(FrechetMeasure(), context)


def test_a_dead_extractor_is_refused_in_words(feature_set: FeatureSets) -> None:
    train = feature_set(2)
    dead = dataclasses.replace(train, features=np.ones_like(train.features))
    with pytest.raises(InvalidMeasureInput, match="same features"):
        measurements_of(FrechetMeasure(), comparison(dead, train, train))


def test_a_label_the_classifier_has_no_class_for_is_refused(feature_set: FeatureSets) -> None:
    train = feature_set(2)
    alien = dataclasses.replace(train, labels=train.labels + 1)
    with pytest.raises(InvalidMeasureInput, match="0 to 2"):
        measurements_of(RealClassifierMeasure(), comparison(alien, train, train))


def test_a_set_of_a_single_class_is_measured_like_any_other(feature_set: FeatureSets) -> None:
    single = feature_set(1, classes=1)
    for measure in COMPARED:
        context = comparison(single, single, feature_set(3, classes=1))
        assert measurements_of(measure, context)


def test_two_feature_sets_in_one_role_are_refused(context: MemoryContext) -> None:
    context.inputs["fake"] *= 2
    with pytest.raises(InvalidMeasureInput, match="one feature set, not 2"):
        measurements_of(FrechetMeasure(), context)


def test_components_are_not_evaluated(context: MemoryContext) -> None:
    with pytest.raises(InvalidMeasureInput, match="projected"):
        measurements_of(PcaMeasure(), context)


def test_the_stored_measurements_are_those_reported(context: MemoryContext) -> None:
    reported = measurements_of(FrechetMeasure(), context)
    stored = json.loads(context.outputs[MEASUREMENTS])
    assert [Measurement.model_validate_json(json.dumps(each)) for each in stored] == reported
    assert [done for done, _, _ in context.progress_reports] == [1, 2]
