"""Reconstructions of held-out images: planned where a measure asks, and nothing moves otherwise."""

import pytest

from replicalab.domain.artifacts import TEST_IMAGES
from replicalab.domain.measures import AccuracyMeasure, MeasureSpec, RealClassifierMeasure
from replicalab.domain.samplers import HeunSampler
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Embed, Evaluate, Reconstruct, Report, TaskDefinition
from replicalab.planning.plan import plan

TEST, TRAIN = 500, 1297
EVALUATIONS = 11 + 35


def study(*measures: MeasureSpec, t_re: tuple[int, ...] = (0, 6, 18)) -> ExperimentSpec:
    return ExperimentSpec(
        name="study", t_re=t_re, sampler=HeunSampler(), classifier_seeds=(0,), measures=measures
    )


PLAIN = plan(study(RealClassifierMeasure()))
HELD_OUT = plan(study(RealClassifierMeasure(held_out=True)))
BY_KEY = {task.key: task for task in HELD_OUT.tasks}


def of_test_images() -> list[TaskDefinition]:
    return [
        task
        for task in HELD_OUT.tasks
        if isinstance(task.params, Reconstruct) and task.params.split == "test"
    ]


def test_every_test_image_is_reconstructed_at_every_step() -> None:
    for t_re in (6, 18):
        images = [
            index
            for task in of_test_images()
            if isinstance(task.params, Reconstruct) and task.params.t_re == t_re
            for index in range(task.params.first, task.params.first + task.params.count)
        ]
        assert images == list(range(TEST))
    for task in of_test_images():
        assert [(each.role, each.artifact) for each in task.inputs] == [("test", TEST_IMAGES)]


def test_their_network_evaluations_are_counted() -> None:
    assert PLAIN.evaluations == TRAIN * EVALUATIONS
    assert HELD_OUT.evaluations == (TRAIN + TEST) * EVALUATIONS


def test_the_real_classifier_answers_on_them() -> None:
    made = {task.key for task in of_test_images()}
    evaluations = [task for task in HELD_OUT.tasks if isinstance(task.params, Evaluate)]
    for task in evaluations:
        assert isinstance(task.params, Evaluate)
        features = [each.key for each in task.inputs if each.role == "heldout"]
        if task.params.t_re == 0:
            assert not features, "the real test images are there already"
            continue
        (key,) = features
        embedding = BY_KEY[key]
        assert isinstance(embedding.params, Embed)
        assert embedding.work == TEST
        assert {each.key for each in embedding.inputs if each.role == "images"} <= made
    assert len(evaluations) == 3


@pytest.mark.parametrize("measure", [RealClassifierMeasure(), AccuracyMeasure()])
def test_a_study_that_does_not_ask_reconstructs_training_images_alone(measure: MeasureSpec) -> None:
    tasks = plan(study(measure)).tasks
    splits = {task.params.split for task in tasks if isinstance(task.params, Reconstruct)}
    assert splits == {"train"}


def test_asking_changes_no_key_but_of_what_reads_them() -> None:
    plain = {task.key for task in PLAIN.tasks}
    gone = [task.params for task in PLAIN.tasks if task.key not in BY_KEY]
    assert len(gone) == 3 + 1
    assert all(isinstance(params, Evaluate | Report) for params in gone)
    assert len(plain & BY_KEY.keys()) == len(PLAIN.tasks) - len(gone)


def test_without_it_parameters_read_as_before_it_was_there() -> None:
    """They are part of keys: a field more would have made every stored reconstruction again."""
    assert RealClassifierMeasure().model_dump(mode="json") == {"kind": "real-classifier"}
    for task in PLAIN.tasks:
        if isinstance(task.params, Reconstruct):
            assert "split" not in task.params.model_dump(mode="json")
            assert '"split"' not in task.params.model_dump_json()
    (first, *_) = of_test_images()
    assert first.params.model_dump(mode="json")["split"] == "test"


def test_asking_survives_json() -> None:
    spec = study(RealClassifierMeasure(held_out=True))
    assert ExperimentSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_study_without_the_real_set_can_ask() -> None:
    tasks = plan(study(RealClassifierMeasure(held_out=True), t_re=(18,))).tasks
    assert {task.params.split for task in tasks if isinstance(task.params, Reconstruct)} == {
        "train",
        "test",
    }
