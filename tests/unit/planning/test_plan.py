"""A specification decides its tasks and their keys, and nothing else does."""

from collections.abc import Callable
from typing import Any

import pytest

from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.generators import (
    EdmTraining,
    HalfLifeAverage,
    PowerAverage,
    PowerAverages,
    TrainedGenerator,
)
from replicalab.domain.measures import AccuracyMeasure, PrecisionRecallMeasure
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.samplers import (
    AblationSampler,
    DpmSolverSampler,
    EulerSampler,
    HeunSampler,
)
from replicalab.domain.specs import SPEC, ExperimentSpec, TrainingSpec
from replicalab.domain.tasks import (
    Embed,
    Evaluate,
    Project,
    Reconstruct,
    Report,
    TaskDefinition,
    TaskKind,
    TrainClassifier,
)
from replicalab.errors import IncompatibleParts
from replicalab.planning.plan import plan
from replicalab.planning.replication import SHARD_IMAGES, shards

STUDY = ExperimentSpec(name="study", t_re=(0, 6, 18), classifier_seeds=(0, 1))


def keys(spec: ExperimentSpec | TrainingSpec) -> set[str]:
    return {task.key for task in plan(spec).tasks}


def changed(**changes: Any) -> list[TaskDefinition]:
    """The tasks of the study with ``changes`` that the study itself does not have."""
    old = keys(STUDY)
    return [t for t in plan(STUDY.model_copy(update=changes)).tasks if t.key not in old]


def test_equal_specifications_plan_to_equal_keys() -> None:
    parsed = SPEC.validate_json(STUDY.model_dump_json())
    assert plan(parsed) == plan(STUDY)


def test_every_input_stands_before_the_task_that_reads_it() -> None:
    seen: set[str] = set()
    for task in plan(STUDY).tasks:
        assert seen.issuperset(task.parents)
        seen.add(task.key)


def test_no_task_is_planned_twice() -> None:
    tasks = plan(STUDY).tasks
    assert len({task.key for task in tasks}) == len(tasks)


def test_a_report_reads_the_answers_of_every_model_that_accuracy_is_measured_of() -> None:
    *tasks, report = plan(STUDY).tasks
    evaluated = {
        t.params.t_re: [each.key for each in t.inputs]
        for t in tasks
        if isinstance(t.params, Evaluate) and t.params.measure == AccuracyMeasure()
    }
    read = {
        t_re: [each.key for each in report.inputs if each.role == f"answers:{t_re}"]
        for t_re in STUDY.t_re
    }
    assert read == evaluated
    without = plan(STUDY.model_copy(update={"measures": (PrecisionRecallMeasure(),)})).tasks[-1]
    assert not any(each.role.startswith("answers") for each in without.inputs)


def test_a_changed_classifier_seed_changes_only_what_reads_that_classifier() -> None:
    new = changed(classifier_seeds=(0, 2))
    classifiers = [t.params for t in new if isinstance(t.params, TrainClassifier)]
    assert [c.seed for c in classifiers] == [2, 2, 2]
    others = [t.params for t in new if not isinstance(t.params, TrainClassifier)]
    assert all(
        isinstance(p, Report) or (isinstance(p, Evaluate) and p.measure == AccuracyMeasure())
        for p in others
    )
    assert len(others) == 3 + 1


def test_a_changed_noise_seed_leaves_everything_real_alone() -> None:
    old = {task.key: task for task in plan(STUDY).tasks}
    kept = keys(STUDY) & keys(STUDY.model_copy(update={"noise_seed": 1}))
    assert {old[key].kind for key in kept} >= {TaskKind.PREPARE_DATASET, TaskKind.EMBED}
    for key in kept:
        assert not isinstance(old[key].params, Reconstruct | Project | Report)
        assert getattr(old[key].params, "t_re", 0) == 0


@pytest.mark.parametrize(
    ("changes", "is_touched"),
    [
        ({"name": "another"}, lambda p: isinstance(p, Report)),
        (
            {"measures": (*STUDY.measures[:2], PrecisionRecallMeasure(neighbours=5))},
            lambda p: isinstance(p, Report | Evaluate),
        ),
        (
            {"t_re": (0, 6, 12, 18)},
            lambda p: isinstance(p, Report | Project) or getattr(p, "t_re", 12) == 12,
        ),
    ],
    ids=["name", "measure", "t_re"],
)
def test_a_change_touches_exactly_what_depends_on_it(
    changes: dict[str, Any], is_touched: Callable[[object], bool]
) -> None:
    new = changed(**changes)
    assert new
    assert all(is_touched(task.params) for task in new)


@pytest.mark.parametrize("images", [1, 499, 500, 501, 1297, 50_000])
def test_shards_cover_every_image_once(images: int) -> None:
    cut = list(shards(images))
    assert [i for first, count in cut for i in range(first, first + count)] == list(range(images))
    assert max(count for _, count in cut) <= SHARD_IMAGES
    assert max(c for _, c in cut) - min(c for _, c in cut) <= 1


def test_evaluations_follow_the_sampler() -> None:
    two_a_step, one_a_step = 1297 * (11 + 35), 1297 * (6 + 18)
    for sampler, expected in [
        (HeunSampler(), two_a_step),
        (EulerSampler(), one_a_step),
        (DpmSolverSampler(), one_a_step),
        (AblationSampler(), two_a_step),
        (AblationSampler(solver="euler"), one_a_step),
    ]:
        assert plan(STUDY.model_copy(update={"sampler": sampler})).evaluations == expected


def test_a_study_of_accuracy_alone_embeds_nothing() -> None:
    kinds = {
        t.kind for t in plan(STUDY.model_copy(update={"measures": (AccuracyMeasure(),)})).tasks
    }
    assert TaskKind.EMBED not in kinds
    assert TaskKind.PROJECT not in kinds


def test_pure_noise_starts_only_at_the_last_step() -> None:
    starts = {
        task.params.t_re: task.params.start
        for task in plan(STUDY.model_copy(update={"start": "noise"})).tasks
        if isinstance(task.params, Reconstruct)
    }
    assert starts == {6: "diffuse", 18: "noise"}


def test_a_trained_generator_is_trained_once_and_read_by_every_shard() -> None:
    training = EdmTraining(images=1000, network=DdpmppNetwork(channels=8, channel_mult=(1, 2)))
    study = STUDY.model_copy(update={"generator": TrainedGenerator(training=training)})
    tasks = plan(study).tasks
    (trainer,) = [t for t in tasks if t.kind is TaskKind.TRAIN_GENERATOR]
    assert all(trainer.key in t.parents for t in tasks if t.kind is TaskKind.RECONSTRUCT)
    assert trainer.key in keys(TrainingSpec(name="alone", training=training))


def test_a_network_that_cannot_halve_the_image_is_refused() -> None:
    training = EdmTraining(images=1000, network=DdpmppNetwork(channel_mult=(1, 1, 1, 1, 1)))
    with pytest.raises(IncompatibleParts, match="channel_mult"):
        plan(TrainingSpec(name="too deep", training=training))


def test_the_classifier_preset_is_part_of_every_network_task() -> None:
    new = changed(classifier=CifarResNet18(width=8))
    assert {type(t.params) for t in new} == {TrainClassifier, Embed, Evaluate, Project, Report}


def test_every_width_of_average_is_chosen_from_one_training() -> None:
    training = EdmTraining(
        network=DdpmppNetwork(channel_mult=(1,)),
        images=1000,
        power_averages=PowerAverages(every_images=400),
    )

    def tasks(ema: HalfLifeAverage | PowerAverage) -> dict[TaskKind, list[TaskDefinition]]:
        generator = TrainedGenerator(training=training, ema=ema)
        spec = ExperimentSpec(name="ema", t_re=(18,), generator=generator)
        found: dict[TaskKind, list[TaskDefinition]] = {}
        for task in plan(spec).tasks:
            found.setdefault(task.kind, []).append(task)
        return found

    plain, narrow, wide = (
        tasks(ema)
        for ema in (
            HalfLifeAverage(),
            PowerAverage(sigma_rel=0.05),
            PowerAverage(sigma_rel=0.15),
        )
    )
    trainings = {found[TaskKind.TRAIN_GENERATOR][0].key for found in (plain, narrow, wide)}
    assert len(trainings) == 1
    assert TaskKind.AVERAGE_GENERATOR not in plain
    chosen = narrow[TaskKind.AVERAGE_GENERATOR][0]
    assert chosen.key != wide[TaskKind.AVERAGE_GENERATOR][0].key
    assert [i.role for i in chosen.inputs] == [
        "description",
        "averages:400",
        "averages:800",
        "averages:1000",
    ]
    generators = [i for i in narrow[TaskKind.RECONSTRUCT][0].inputs if i.role != "train"]
    assert {i.key for i in generators} == {chosen.key}
    assert not {t.key for t in narrow[TaskKind.RECONSTRUCT]} & {
        t.key for t in wide[TaskKind.RECONSTRUCT] + plain[TaskKind.RECONSTRUCT]
    }
