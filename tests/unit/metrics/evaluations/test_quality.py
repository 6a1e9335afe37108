"""Measures of fidelity, diversity, copying and the rim: what they report and refuse."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from replicalab.domain.measures import (
    ALL_MEASURES,
    ClassFlipMeasure,
    CopyMeasure,
    DensityCoverageMeasure,
    EdgeCoverageMeasure,
    FeatureLikelihoodMeasure,
    KernelDistanceMeasure,
    KernelSubsets,
    Measurement,
    MeasureSpec,
    PerClassMeasure,
    Reference,
    SupportMeasure,
    VendiMeasure,
)
from replicalab.domain.tasks import Evaluate
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.features import FeatureSet
from replicalab_metrics.evaluations.evaluate import FEATURE_MEASURES, evaluate
from replicalab_metrics.measures.typicality import distances_to_centroids, tenths

FeatureSets = Callable[..., FeatureSet]
TRAIN, TEST = Reference.TRAIN, Reference.TEST


def measured(
    measure: MeasureSpec, fake: FeatureSet, train: FeatureSet, test: FeatureSet
) -> list[Measurement]:
    context = MemoryContext(
        {"fake": [fake.to_bytes()], "train": [train.to_bytes()], "test": [test.to_bytes()]}
    )
    evaluate(context, Evaluate(measure=measure, t_re=6, sigma=0.25))
    return context.measurements


def value_of(
    measurements: list[Measurement],
    name: str,
    reference: Reference | None = TRAIN,
    part: str | None = None,
) -> float:
    key = (name, reference, part)
    (found,) = [m for m in measurements if (m.name, m.reference, m.part) == key]
    return found.value


@pytest.fixture
def sets(feature_set: FeatureSets) -> tuple[FeatureSet, FeatureSet, FeatureSet]:
    """(fake, train, test), the fakes near the images they stand beside."""
    train = feature_set(2)
    noise = np.random.default_rng(9).standard_normal(train.features.shape).astype(np.float32)
    fake = dataclasses.replace(train, features=train.features + 0.3 * noise)
    return fake, train, feature_set(3, n=50)


Sets = tuple[FeatureSet, FeatureSet, FeatureSet]


def test_every_measure_has_an_evaluation() -> None:
    others = {
        "accuracy",
        "pca",
        "fake-detection",
        "grad-cam",
    }
    assert FEATURE_MEASURES.keys() | others == {m.kind for m in ALL_MEASURES}


@pytest.mark.parametrize(
    ("measure", "names"),
    [
        (KernelDistanceMeasure(), {"kernel_distance"}),
        (DensityCoverageMeasure(), {"density", "coverage"}),
        (SupportMeasure(), {"alpha_precision", "beta_recall"}),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_both_real_sets_are_references(sets: Sets, measure: MeasureSpec, names: set[str]) -> None:
    found = measured(measure, *sets)
    assert {(m.name, m.reference) for m in found} == {
        (name, reference) for name in names for reference in Reference
    }
    for m in found:
        assert m.interval is not None
        assert m.interval.low <= m.value <= m.interval.high
        assert m.recipe["n_reference"] == (60 if m.reference is TRAIN else 50)


def test_the_training_set_is_at_kernel_distance_zero_from_itself(sets: Sets) -> None:
    _, train, test = sets
    to_train, to_test = measured(KernelDistanceMeasure(), train, train, test)
    assert to_train.interval is not None
    assert (to_train.interval.low, to_train.value, to_train.interval.high) == (0, 0, 0)
    assert to_test.interval is not None
    assert to_test.interval.low < 0 < to_test.interval.high


def test_kernel_distances_of_subsets_are_reported_where_asked(sets: Sets) -> None:
    asked = KernelDistanceMeasure(subsets=KernelSubsets(count=5, size=20, seed=3))
    found = measured(asked, *sets)
    subsets = [m for m in found if m.name == "kernel_distance_of_subsets"]
    assert [(m.reference, m.n, m.interval) for m in subsets] == [
        (TRAIN, 20, None),
        (TEST, 20, None),
    ]
    assert subsets[0].recipe["subset_seed"] == 3
    assert subsets[0].std is not None


def test_subsets_beyond_the_smaller_set_are_refused(sets: Sets) -> None:
    with pytest.raises(InvalidMeasureInput, match="2 to 50 samples"):
        measured(KernelDistanceMeasure(subsets=KernelSubsets(size=51)), *sets)


def test_the_training_set_covers_itself_and_copies_itself(sets: Sets) -> None:
    _, train, test = sets
    found = measured(DensityCoverageMeasure(), train, train, test)
    assert value_of(found, "coverage") == 1
    found = measured(CopyMeasure(), train, train, test)
    assert value_of(found, "authenticity") == 0
    assert value_of(found, "source_nearest") == 1


def test_copies_of_other_images_are_found_too(sets: Sets) -> None:
    _, train, test = sets
    shifted = dataclasses.replace(train, features=np.roll(train.features, 1, axis=0))
    found = measured(CopyMeasure(), shifted, train, test)
    assert value_of(found, "authenticity") == 0
    assert value_of(found, "source_nearest") == 0


def test_sets_that_are_not_paired_have_no_sources(sets: Sets) -> None:
    fake, train, test = sets
    other = dataclasses.replace(fake, indices=fake.indices + 1)
    assert {m.name for m in measured(CopyMeasure(), other, train, test)} == {"authenticity"}
    with pytest.raises(InvalidMeasureInput, match="source of every reconstruction"):
        measured(ClassFlipMeasure(), other, train, test)


def test_flips_are_counted_against_what_the_source_was_called(sets: Sets) -> None:
    _, train, test = sets
    logits = train.answers.copy()
    logits[:6] = np.roll(logits[:6], 1, axis=1)
    found = measured(ClassFlipMeasure(), dataclasses.replace(train, logits=logits), train, test)
    assert value_of(found, "class_flip_rate") == pytest.approx(0.1)
    by_class = [m for m in found if m.part is not None]
    assert [m.part for m in by_class] == ["class 0", "class 1", "class 2"]
    assert sum(m.value * m.n for m in by_class) == pytest.approx(6)
    assert [m.recipe["class"] for m in by_class] == [0, 1, 2]


def test_a_set_that_keeps_only_the_core_of_every_class_loses_the_rim(sets: Sets) -> None:
    _, train, test = sets
    tenth_of = tenths(distances_to_centroids(train.features, train.labels), train.labels)
    is_core = tenth_of < 5
    core = train.features.copy()
    for class_ in range(3):
        is_class = train.labels == class_
        kept = train.features[is_class & is_core]
        rows = np.flatnonzero(is_class & ~is_core)
        core[rows] = kept[np.arange(len(rows)) % len(kept)]
    found = measured(EdgeCoverageMeasure(), dataclasses.replace(train, features=core), train, test)
    assert value_of(found, "centroid_distance_ratio") < 0.9
    first, last = "tenth 1 by class centroid", "tenth 10 by class centroid"
    assert value_of(found, "tenth_recall", part=first) == 1
    assert value_of(found, "tenth_recall", part=last) < 0.5
    assert value_of(found, "rim_recall") == value_of(found, "tenth_recall", part=last)
    sizes = [m.n for m in found if m.name == "tenth_coverage" and m.reference is TRAIN]
    assert sum(sizes) == 2 * len(train), "every image is in one tenth of either order"


def test_the_real_set_is_as_far_from_its_centroids_as_itself(sets: Sets) -> None:
    _, train, test = sets
    found = measured(EdgeCoverageMeasure(), train, train, test)
    assert value_of(found, "centroid_distance_ratio") == pytest.approx(1, rel=1e-6)


def test_classes_that_the_held_out_set_lacks_do_not_count_at_its_centroids(sets: Sets) -> None:
    fake, train, test = sets
    found = measured(
        EdgeCoverageMeasure(),
        fake,
        train,
        dataclasses.replace(test, labels=np.zeros_like(test.labels)),
    )
    (ratio,) = [m for m in found if m.name == "centroid_distance_ratio" and m.reference is TEST]
    assert ratio.n == int((fake.labels == 0).sum())


def test_classes_of_one_image_have_no_distance_to_their_centroid(sets: Sets) -> None:
    _, train, test = sets
    alone = dataclasses.replace(train, labels=np.arange(len(train)))
    with pytest.raises(InvalidMeasureInput, match="two different training images"):
        measured(EdgeCoverageMeasure(), alone, alone, test)


def test_an_empty_class_is_named(sets: Sets) -> None:
    fake, train, test = sets
    lacking = dataclasses.replace(fake, labels=fake.labels % 2)
    with pytest.raises(InvalidMeasureInput, match=r"Classes \[2\] have no images"):
        measured(PerClassMeasure(), lacking, train, test)


def test_shares_of_classes_add_up_to_those_of_the_set(sets: Sets) -> None:
    whole = measured(DensityCoverageMeasure(), *sets)
    parts = [m for m in measured(PerClassMeasure(), *sets) if m.reference is TRAIN]
    for name in ("density", "coverage"):
        of_classes = [m for m in parts if m.name == name]
        assert [m.part for m in of_classes] == ["class 0", "class 1", "class 2"]
        mean = sum(m.value * m.n for m in of_classes) / 60
        assert mean == pytest.approx(value_of(whole, name), rel=1e-12)


def test_diversity_and_likelihood_are_reported_with_intervals(sets: Sets) -> None:
    (vendi,) = measured(VendiMeasure(), *sets)
    assert vendi.reference is None
    assert vendi.interval is not None
    assert 1 <= vendi.interval.low < vendi.value < vendi.interval.high
    (fld,) = measured(FeatureLikelihoodMeasure(), *sets)
    assert (fld.reference, fld.n, fld.recipe["baseline_seed"]) == (TEST, 50, 0)
    assert fld.interval is not None


def test_an_extractor_that_tells_nothing_apart_is_refused(sets: Sets) -> None:
    fake, train, test = sets
    dead = dataclasses.replace(test, features=np.ones_like(test.features))
    with pytest.raises(InvalidMeasureInput, match="held-out set have the same features"):
        measured(DensityCoverageMeasure(), fake, train, dead)
