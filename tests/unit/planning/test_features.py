"""Which features a study computes, and that each is computed once."""

from collections import Counter

import pytest

from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import Cifar10Dataset, DigitsDataset
from replicalab.domain.features import (
    ClassifierFeatures,
    DinoFeatures,
    FeatureSpec,
    InceptionFeatures,
)
from replicalab.domain.measures import (
    ALL_MEASURES,
    ClassFlipMeasure,
    FrechetMeasure,
    PrecisionRecallMeasure,
    RealClassifierMeasure,
)
from replicalab.domain.specs import SPEC, ExperimentSpec
from replicalab.domain.tasks import (
    EmbedPublished,
    Evaluate,
    Report,
    TaskDefinition,
    TaskKey,
    TaskKind,
)
from replicalab.errors import IncompatibleParts
from replicalab.planning.plan import plan

STUDY = ExperimentSpec(name="study", t_re=(0, 6, 18), measures=ALL_MEASURES)
SETS = 3 + 1
"""Two reconstructed sets, the real training set (which is t_re 0 as well), the held-out set."""

INCEPTION = InceptionFeatures()

TRAINED = {"accuracy", "fake-detection", "grad-cam"}
"""Measures that read what classifiers of their own answer, and no features."""


def tasks_of(features: FeatureSpec, **changes: object) -> dict[TaskKey, TaskDefinition]:
    spec = STUDY.model_copy(update={"features": features, **changes})
    return {task.key: task for task in plan(spec).tasks}


def kinds_of(tasks: dict[TaskKey, TaskDefinition]) -> Counter[TaskKind]:
    return Counter(task.kind for task in tasks.values())


@pytest.mark.parametrize("features", [INCEPTION, DinoFeatures()], ids=lambda f: f.kind)
def test_every_set_is_embedded_once_whatever_is_measured(features: FeatureSpec) -> None:
    kinds = kinds_of(tasks_of(features))
    assert kinds[TaskKind.EMBED_PUBLISHED] == SETS
    assert kinds[TaskKind.EMBED] == SETS, "answers of the real classifier"


def test_only_what_asks_the_classifier_reads_its_features() -> None:
    tasks = tasks_of(INCEPTION)
    for task in tasks.values():
        if not isinstance(task.params, Evaluate) or task.params.measure.kind in TRAINED:
            continue
        sources = {tasks[each.key].kind for each in task.inputs}
        asks = isinstance(task.params.measure, RealClassifierMeasure | ClassFlipMeasure)
        assert sources == {TaskKind.EMBED if asks else TaskKind.EMBED_PUBLISHED}
    (projection,) = [task for task in tasks.values() if task.kind is TaskKind.PROJECT]
    assert {tasks[each.key].kind for each in projection.inputs} == {TaskKind.EMBED_PUBLISHED}


def test_published_features_alone_need_no_classifier() -> None:
    kinds = kinds_of(tasks_of(INCEPTION, measures=(FrechetMeasure(), PrecisionRecallMeasure())))
    assert kinds[TaskKind.TRAIN_CLASSIFIER] == kinds[TaskKind.EMBED] == 0


def test_studies_share_the_features_of_the_sets_they_share() -> None:
    def embedded(t_re: tuple[int, ...]) -> set[TaskKey]:
        tasks = tasks_of(INCEPTION, t_re=t_re)
        return {key for key, task in tasks.items() if isinstance(task.params, EmbedPublished)}

    assert len(embedded((0, 6)) & embedded((6, 18))) == 3


@pytest.mark.parametrize(
    "other",
    [InceptionFeatures(dimension=768), InceptionFeatures(weights_sha256="a" * 64), DinoFeatures()],
    ids=["dimension", "weights", "network"],
)
def test_another_recipe_is_another_task(other: FeatureSpec) -> None:
    shared = tasks_of(INCEPTION).keys() & tasks_of(other).keys()
    kinds = {tasks_of(other)[key].kind for key in shared}
    assert not kinds & {TaskKind.EMBED_PUBLISHED, TaskKind.PROJECT, TaskKind.REPORT}
    assert {TaskKind.EMBED, TaskKind.TRAIN_CLASSIFIER, TaskKind.RECONSTRUCT} <= kinds


def test_a_registered_classifier_is_the_one_that_its_own_study_trains() -> None:
    own = STUDY.model_copy(update={"dataset": DigitsDataset(), "classifier_seeds": (7,)})
    same = ClassifierFeatures(dataset=DigitsDataset(), classifier=STUDY.classifier, seed=7)
    borrowed = own.model_copy(update={"features": same})
    ours, theirs = ({t.key: t for t in plan(spec).tasks} for spec in (own, borrowed))
    differing = [
        tasks[key].params
        for tasks in (ours, theirs)
        for key in ours.keys() ^ theirs.keys()
        if key in tasks
    ]
    assert len(differing) == 2
    assert all(isinstance(params, Report) for params in differing)


def test_a_classifier_of_another_data_set_is_trained_on_it() -> None:
    features = ClassifierFeatures(
        dataset=DigitsDataset(split_seed=5), classifier=CifarResNet18(width=8), seed=3
    )
    kinds = kinds_of(tasks_of(features, measures=(FrechetMeasure(),)))
    assert kinds[TaskKind.PREPARE_DATASET] == 2
    assert kinds[TaskKind.TRAIN_CLASSIFIER] == 1
    assert kinds[TaskKind.EMBED] == SETS


def test_a_classifier_of_images_of_another_shape_is_refused() -> None:
    features = ClassifierFeatures(dataset=Cifar10Dataset(), classifier=CifarResNet18())
    with pytest.raises(IncompatibleParts, match=r"\(32, 3\), the data set has \(8, 1\)"):
        tasks_of(features)


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ('{"kind": "inception", "dimension": 1000}', "dimension"),
        ('{"kind": "inception", "weights_sha256": "6726825d"}', "weights_sha256"),
        ('{"kind": "vgg"}', "features"),
        ('{"kind": "classifier", "dataset": {"kind": "registered"}}', "dataset"),
    ],
)
def test_a_space_that_there_is_not_is_refused(features: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        SPEC.validate_json(
            f'{{"kind": "replication", "name": "x", "t_re": [0], "features": {features}}}'
        )
