"""Which detectors a study trains, and who shares them."""

import pytest

from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import ImageFolderDataset
from replicalab.domain.detection import DetectionSplit, FakeDetectionMeasure
from replicalab.domain.generators import EdmTraining, TrainedGenerator
from replicalab.domain.measures import AccuracyMeasure
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.specs import SPEC, ExperimentSpec
from replicalab.domain.tasks import (
    Evaluate,
    Reconstruct,
    TaskDefinition,
    TaskKey,
    TaskKind,
    TrainDetector,
)
from replicalab.errors import IncompatibleParts
from replicalab.planning.plan import plan

STUDY = ExperimentSpec(
    name="study", t_re=(0, 6, 18), classifier_seeds=(0, 1), measures=(FakeDetectionMeasure(),)
)


def tasks_of(**changes: object) -> dict[TaskKey, TaskDefinition]:
    return {task.key: task for task in plan(STUDY.model_copy(update=changes)).tasks}


def detectors_of(**changes: object) -> dict[TaskKey, TrainDetector]:
    return {
        key: task.params
        for key, task in tasks_of(**changes).items()
        if isinstance(task.params, TrainDetector)
    }


def test_every_reconstructed_set_has_a_detector_for_every_domain_and_seed() -> None:
    tasks = tasks_of()
    found = [
        (params.domain, params.seed)
        for task in tasks.values()
        if isinstance(params := task.params, TrainDetector)
    ]
    assert found == 2 * [("pixels", 0), ("pixels", 1), ("dct", 0), ("dct", 1)]
    assert {task.kind for task in tasks.values()} == {
        TaskKind.PREPARE_DATASET,
        TaskKind.RECONSTRUCT,
        TaskKind.TRAIN_DETECTOR,
        TaskKind.EVALUATE,
        TaskKind.REPORT,
    }


def test_a_detector_reads_the_real_set_and_every_part_of_one_reconstructed_set() -> None:
    tasks = tasks_of()
    for task in tasks.values():
        if task.kind is TaskKind.TRAIN_DETECTOR:
            real, *fake = task.inputs
            assert (real.role, real.artifact) == ("real", "train.npz")
            made = [tasks[each.key].params for each in fake]
            parts = [params for params in made if isinstance(params, Reconstruct)]
            assert len(parts) == len(made)
            assert len({params.t_re for params in parts}) == 1
            assert sum(params.count for params in parts) == 1297
            assert {each.role for each in fake} == {"fake"}


def test_an_evaluation_reads_every_run_in_the_role_of_its_domain_and_none_is_of_the_real_set() -> (
    None
):
    tasks = tasks_of()
    evaluations = {
        task.params.t_re: task for task in tasks.values() if isinstance(task.params, Evaluate)
    }
    assert list(evaluations) == [6, 18]
    for task in evaluations.values():
        assert [each.role for each in task.inputs] == ["pixels", "pixels", "dct", "dct"]
        for each in task.inputs:
            params = tasks[each.key].params
            assert isinstance(params, TrainDetector)
            assert params.domain == each.role


def test_the_detector_is_like_the_studys_classifier_unless_told_otherwise() -> None:
    assert {each.classifier for each in detectors_of().values()} == {STUDY.classifier}
    quick = CifarResNet18(width=8, epochs=3)
    asked = FakeDetectionMeasure(classifier=quick)
    assert {each.classifier for each in detectors_of(measures=(asked,)).values()} == {quick}


def test_work_is_the_images_learnt_from_times_the_epochs() -> None:
    split = DetectionSplit(test_share=0.25)
    tasks = tasks_of(
        measures=(FakeDetectionMeasure(split=split),), classifier=CifarResNet18(epochs=4)
    )
    work = [task.work for task in tasks.values() if task.kind is TaskKind.TRAIN_DETECTOR]
    assert work == pytest.approx(8 * [2 * 1297 * 0.75 * 4])


def test_studies_share_the_detectors_of_the_sets_they_share() -> None:
    ours = detectors_of()
    theirs = detectors_of(
        t_re=(3, 18), measures=(AccuracyMeasure(), FakeDetectionMeasure(domains=("dct",)))
    )
    shared = ours.keys() & theirs.keys()
    assert [(ours[key].domain, ours[key].seed) for key in ours if key in shared] == [
        ("dct", 0),
        ("dct", 1),
    ]
    assert not ours.keys() & detectors_of(noise_seed=1).keys()
    other_split = FakeDetectionMeasure(split=DetectionSplit(seed=1))
    assert not ours.keys() & detectors_of(measures=(other_split,)).keys()


def test_a_study_of_the_real_set_alone_has_nothing_to_detect() -> None:
    with pytest.raises(IncompatibleParts, match="add a t_re above 0"):
        tasks_of(t_re=(0,))


def test_too_few_images_to_hold_out_one_of_every_class_are_refused_before_anything_runs() -> None:
    small = ImageFolderDataset(
        folder="few",
        sha256="a" * 64,
        train_images=19,
        test_images=10,
        classes=10,
        resolution=8,
        channels=1,
    )
    training = EdmTraining(images=100, network=DdpmppNetwork(channels=8, channel_mult=(1, 1)))
    generator = TrainedGenerator(training=training)
    with pytest.raises(IncompatibleParts, match="19 training images in 10 classes"):
        tasks_of(dataset=small, generator=generator)
    assert detectors_of(dataset=small.model_copy(update={"train_images": 20}), generator=generator)


@pytest.mark.parametrize(
    "change",
    [
        '"domains": []',
        '"domains": ["dct", "dct"]',
        '"domains": ["wavelets"]',
        '"split": {"test_share": 0}',
        '"split": {"test_share": 0.95}',
        '"classifier": {"kind": "vgg"}',
    ],
)
def test_a_detection_that_makes_no_sense_is_refused(change: str) -> None:
    measure = f'{{"kind": "fake-detection", {change}}}'
    with pytest.raises(ValueError, match="measures"):
        SPEC.validate_json(
            f'{{"kind": "replication", "name": "x", "t_re": [6], "measures": [{measure}]}}'
        )
