"""Which heat maps a study makes, and of which block."""

from typing import Any

import pytest

from replicalab.domain import artifacts
from replicalab.domain.classifiers import CifarResNet18, PaperResNet18, ResidualBlock, map_side
from replicalab.domain.datasets import Cifar10Dataset
from replicalab.domain.generators import EdmTraining, TrainedGenerator
from replicalab.domain.measures import AccuracyMeasure, GradCamMeasure
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import (
    Evaluate,
    Explain,
    Report,
    TaskDefinition,
    TaskKey,
    TaskKind,
    TrainClassifier,
)
from replicalab.errors import IncompatibleParts
from replicalab.planning.plan import plan

STUDY = ExperimentSpec(
    name="study", t_re=(0, 6, 18), classifier_seeds=(0, 1), measures=(GradCamMeasure(),)
)

TRAINED = TrainedGenerator(training=EdmTraining(images=10))


def tasks_of(**changes: Any) -> dict[TaskKey, TaskDefinition]:
    return {task.key: task for task in plan(STUDY.model_copy(update=changes)).tasks}


def of_kind(tasks: dict[TaskKey, TaskDefinition], kind: TaskKind) -> list[TaskDefinition]:
    return [task for task in tasks.values() if task.kind is kind]


def test_every_model_is_explained_once_on_the_test_images() -> None:
    tasks = tasks_of()
    explained = of_kind(tasks, TaskKind.EXPLAIN)
    assert len(explained) == 3 * 2
    for task in explained:
        test, weights = task.inputs
        assert (test.role, test.artifact) == ("test", artifacts.TEST_IMAGES)
        assert (weights.role, weights.artifact) == ("classifier", artifacts.CLASSIFIER_WEIGHTS)
        trained, params = tasks[weights.key].params, task.params
        assert isinstance(trained, TrainClassifier)
        assert isinstance(params, Explain)
        assert params.seed == trained.seed
        assert task.work == 100


def test_every_set_is_compared_with_real_trained_models_of_the_same_seeds() -> None:
    tasks = tasks_of()
    real: set[tuple[TaskKey, ...]] = set()
    for task in of_kind(tasks, TaskKind.EVALUATE):
        assert isinstance(task.params, Evaluate)
        maps, reals = (
            tuple(each.key for each in task.inputs if each.role == role)
            for role in ("maps", "real")
        )
        assert [tasks[key].params.seed for key in maps] == [0, 1]  # type: ignore[union-attr]
        assert (maps == reals) == (task.params.t_re == 0)
        real.add(reals)
    assert len(real) == 1


def test_the_real_set_is_learnt_from_even_where_it_is_not_measured() -> None:
    tasks = tasks_of(t_re=(6, 18))
    assert len(of_kind(tasks, TaskKind.EXPLAIN)) == 3 * 2
    assert len(of_kind(tasks, TaskKind.EVALUATE)) == 2
    (report,) = of_kind(tasks, TaskKind.REPORT)
    roles = [each.role for each in report.inputs]
    assert [role for role in roles if role.startswith("maps")] == ["maps:0", "maps:6", "maps:18"]
    assert roles.count("test") == 1


def test_a_study_without_heat_maps_explains_nothing() -> None:
    tasks = tasks_of(measures=(AccuracyMeasure(),))
    assert not of_kind(tasks, TaskKind.EXPLAIN)
    (report,) = of_kind(tasks, TaskKind.REPORT)
    assert not {"test", "maps:0"} & {each.role for each in report.inputs}


def test_classifiers_are_those_of_the_accuracy() -> None:
    accuracy = of_kind(tasks_of(measures=(AccuracyMeasure(),)), TaskKind.TRAIN_CLASSIFIER)
    assert accuracy == of_kind(tasks_of(), TaskKind.TRAIN_CLASSIFIER)


def test_studies_share_the_heat_maps_of_the_sets_they_share() -> None:
    shared = tasks_of(t_re=(0, 6)).keys() & tasks_of(t_re=(6, 18)).keys()
    assert len([key for key in shared if tasks_of()[key].kind is TaskKind.EXPLAIN]) == 2 * 2


@pytest.mark.parametrize(
    ("other", "kinds"),
    [
        (GradCamMeasure(top_share=0.5), {Evaluate, Report}),
        (GradCamMeasure(block=3), {Evaluate, Report}),
        (GradCamMeasure(block=1), {Explain, Evaluate, Report}),
        (GradCamMeasure(images_per_class=3), {Explain, Evaluate, Report}),
    ],
    ids=["top share", "the default block by its number", "block", "images"],
)
def test_an_option_touches_what_depends_on_it(other: GradCamMeasure, kinds: set[type]) -> None:
    tasks = tasks_of(measures=(other,))
    assert {type(tasks[key].params) for key in tasks.keys() - tasks_of().keys()} == kinds


@pytest.mark.parametrize(
    ("changes", "block"),
    [
        ({}, 3),
        ({"classifier": PaperResNet18()}, 4),
        ({"dataset": Cifar10Dataset(), "generator": TRAINED}, 4),
    ],
    ids=["digits", "digits at 224 pixels", "CIFAR-10"],
)
def test_the_block_is_the_last_whose_maps_show_a_place(
    changes: dict[str, Any], block: ResidualBlock
) -> None:
    explained = [task.params for task in of_kind(tasks_of(**changes), TaskKind.EXPLAIN)]
    assert {each.block for each in explained if isinstance(each, Explain)} == {block}


def test_a_block_whose_maps_show_no_place_is_refused() -> None:
    with pytest.raises(IncompatibleParts, match=r"1 x 1 .* 8 pixels.* take block 3 \(2 x 2\)"):
        tasks_of(measures=(GradCamMeasure(block=4),))


@pytest.mark.parametrize(
    ("resolution", "sides"),
    [(8, [8, 4, 2, 1]), (9, [9, 5, 3, 2]), (32, [32, 16, 8, 4]), (96, [96, 48, 24, 12])],
)
def test_maps_halve_with_every_stage(resolution: int, sides: list[int]) -> None:
    blocks: tuple[ResidualBlock, ...] = (1, 2, 3, 4)
    assert [map_side(CifarResNet18(), block, resolution) for block in blocks] == sides
    assert [map_side(PaperResNet18(), block, resolution) for block in blocks] == [56, 28, 14, 7]
