"""A study may name a data set that its project has imported."""

from typing import Any

import pytest

from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import (
    DatasetContents,
    DatasetRecipe,
    DigitsDataset,
    RegisteredDataset,
    facts_of,
)
from replicalab.domain.features import ClassifierFeatures
from replicalab.domain.generators import EdmTraining, TrainedGenerator
from replicalab.domain.measures import FrechetMeasure
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.specs import STORED_SPEC, DatasetImportSpec, ExperimentSpec
from replicalab.domain.tasks import ImportDataset, PrepareDataset, TaskKind, TrainClassifier
from replicalab.errors import IncompatibleParts
from replicalab.file_errors import UnknownDataset
from replicalab.planning.datasets import DatasetVersion, is_any_registered, pin, pinned
from replicalab.planning.plan import plan

FILE = ArtifactRef(sha256="ab" * 32, size_bytes=1000, media_type="application/octet-stream")
RECIPE = DatasetRecipe(resolution=8)
CONTENTS = DatasetContents(
    file=FILE,
    recipe=RECIPE,
    licence="CC0",
    train_images=600,
    test_images=20,
    classes=3,
    resolution=8,
    channels=1,
)
VERSION = "cd" * 32
REGISTERED = {"pets": DatasetVersion(VERSION, CONTENTS)}
PINNED = RegisteredDataset(name="pets", version=VERSION, contents=CONTENTS)
TRAINED = TrainedGenerator(
    training=EdmTraining(images=10, network=DdpmppNetwork(channel_mult=(1,)))
)


def study(**changes: Any) -> ExperimentSpec:
    fields = {"name": "study", "t_re": (0, 18), "dataset": PINNED, "generator": TRAINED}
    return ExperimentSpec.model_validate(fields | changes)


def test_a_study_finds_the_work_of_the_import_itself() -> None:
    spec = DatasetImportSpec(name="pets", file=FILE, licence="CC0", recipe=RECIPE)
    (task,) = plan(spec).tasks
    assert task.params == ImportDataset(file=FILE, recipe=RECIPE)
    assert task.work == 1000
    tasks = plan(study()).tasks
    assert task.key in {one.key for one in tasks}
    assert not any(isinstance(one.params, PrepareDataset) for one in tasks)


def test_the_licence_changes_no_work_and_the_recipe_does() -> None:
    def key(**changes: Any) -> str:
        fields = {"name": "pets", "file": FILE, "licence": "CC0", "recipe": RECIPE} | changes
        (task,) = plan(DatasetImportSpec.model_validate(fields)).tasks
        return task.key

    assert key() == key(licence="MIT", name="others")
    assert key() != key(recipe=DatasetRecipe(resolution=9))


def test_shards_and_classes_follow_from_what_the_file_held() -> None:
    facts = facts_of(PINNED)
    assert (facts.train_images, facts.test_images, facts.classes) == (600, 20, 3)
    shards = [task for task in plan(study()).tasks if task.kind == "reconstruct"]
    assert len(shards) == 2


def test_a_generator_of_other_images_is_refused_at_submission() -> None:
    with pytest.raises(IncompatibleParts, match="edm-digits"):
        plan(study(generator={"kind": "bundled"}))


def test_a_name_is_pinned_to_what_it_stands_for() -> None:
    assert pin(RegisteredDataset(name="pets"), REGISTERED) == PINNED
    assert pin(PINNED, REGISTERED) == PINNED


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        (RegisteredDataset(name="zoo"), "'zoo'.*there are: pets"),
        (RegisteredDataset(name="pets", version="ef" * 32), "version cdcd.*not efef"),
        (
            PINNED.model_copy(update={"contents": CONTENTS.model_copy(update={"licence": "MIT"})}),
            "another licence",
        ),
    ],
    ids=["name", "version", "contents"],
)
def test_a_data_set_that_is_not_there_is_unknown(dataset: RegisteredDataset, says: str) -> None:
    with pytest.raises(UnknownDataset, match=says):
        pin(dataset, REGISTERED)


def of_pets(dataset: RegisteredDataset = PINNED) -> ClassifierFeatures:
    return ClassifierFeatures(dataset=dataset, classifier=CifarResNet18(width=8), seed=5)


def test_features_of_a_data_set_are_of_the_classifier_that_its_own_study_trains() -> None:
    digits = ExperimentSpec(
        name="digits", t_re=(0, 18), features=of_pets(), measures=(FrechetMeasure(),)
    )
    own = study(classifier=CifarResNet18(width=8), classifier_seeds=(5,))
    tasks = {task.key: task for task in plan(digits).tasks}
    shared = {tasks[key].kind for key in tasks.keys() & {task.key for task in plan(own).tasks}}
    assert shared == {TaskKind.IMPORT_DATASET, TaskKind.TRAIN_CLASSIFIER}
    (trained,) = [task for task in tasks.values() if task.kind is TaskKind.TRAIN_CLASSIFIER]
    assert isinstance(trained.params, TrainClassifier)
    assert trained.params.classes == CONTENTS.classes
    embedded = [task for task in tasks.values() if task.kind is TaskKind.EMBED]
    assert len(embedded) == 3
    assert all(trained.key in task.parents for task in embedded)


def test_every_data_set_that_a_study_names_is_pinned() -> None:
    name = RegisteredDataset(name="pets")
    both = study(dataset=name, features=of_pets(name))
    assert is_any_registered(both)
    assert pinned(both, REGISTERED) == study(features=of_pets())
    features_alone = ExperimentSpec(name="digits", t_re=(0, 18), features=of_pets(name))
    assert is_any_registered(features_alone)
    expected = features_alone.model_copy(update={"features": of_pets()})
    assert pinned(features_alone, REGISTERED) == expected
    assert expected.dataset == DigitsDataset()
    neither = ExperimentSpec(name="digits", t_re=(0, 18))
    assert not is_any_registered(neither)
    with pytest.raises(UnknownDataset, match="there are: none"):
        pinned(features_alone, {})


def test_features_of_images_of_another_shape_are_refused() -> None:
    large = CONTENTS.model_copy(update={"resolution": 9})
    features = of_pets(PINNED.model_copy(update={"contents": large}))
    with pytest.raises(IncompatibleParts, match=r"\(9, 1\), the data set has \(8, 1\)"):
        plan(ExperimentSpec(name="digits", t_re=(0, 18), features=features))


def test_a_name_that_nobody_looked_up_is_not_planned() -> None:
    with pytest.raises(UnknownDataset, match="pets"):
        plan(study(dataset=RegisteredDataset(name="pets")))


def test_specifications_with_data_sets_are_stored_like_all_others() -> None:
    imported = DatasetImportSpec(name="pets", file=FILE, licence="CC0")
    for spec in (imported, study()):
        assert STORED_SPEC.validate_json(spec.model_dump_json()) == spec
