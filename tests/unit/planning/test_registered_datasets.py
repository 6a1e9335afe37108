"""A study may name a data set that its project has imported."""

from typing import Any

import pytest

from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.datasets import (
    DatasetContents,
    DatasetRecipe,
    RegisteredDataset,
    facts_of,
)
from replicalab.domain.generators import EdmTraining, TrainedGenerator
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.specs import STORED_SPEC, DatasetImportSpec, ExperimentSpec
from replicalab.domain.tasks import ImportDataset, PrepareDataset
from replicalab.errors import IncompatibleParts
from replicalab.file_errors import UnknownDataset
from replicalab.planning.datasets import DatasetVersion, pin
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


def test_a_name_that_nobody_looked_up_is_not_planned() -> None:
    with pytest.raises(UnknownDataset, match="pets"):
        plan(study(dataset=RegisteredDataset(name="pets")))


def test_specifications_with_data_sets_are_stored_like_all_others() -> None:
    imported = DatasetImportSpec(name="pets", file=FILE, licence="CC0")
    for spec in (imported, study()):
        assert STORED_SPEC.validate_json(spec.model_dump_json()) == spec
