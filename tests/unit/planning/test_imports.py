"""A study may name a generator that its project has imported."""

from typing import Any

import pytest

from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.generators import ImportedGenerator, ImportedWeights
from replicalab.domain.networks import DdpmppNetwork, EdmPreconditioningSpec, GeneratorForm
from replicalab.domain.specs import STORED_SPEC, ExperimentSpec, ImportSpec
from replicalab.domain.tasks import ImportGenerator, Reconstruct, Report
from replicalab.errors import IncompatibleParts, UnknownGenerator
from replicalab.planning.importing import pin
from replicalab.planning.plan import plan

FILE = ArtifactRef(sha256="ab" * 32, size_bytes=1000, media_type="application/octet-stream")
FORM = GeneratorForm(
    network=DdpmppNetwork(),
    preconditioning=EdmPreconditioningSpec(sigma_data=0.5),
    resolution=8,
    channels=1,
    classes=10,
    augment_labels=9,
)
WEIGHTS = ImportedWeights(file=FILE, licence="CC0", form=FORM)
STUDY = ExperimentSpec(
    name="study", t_re=(0, 18), generator=ImportedGenerator(name="published"), classifier_seeds=(0,)
)


def weights(**changes: Any) -> dict[str, ImportedWeights]:
    return {"published": ImportedWeights(FILE, "CC0", FORM.model_copy(update=changes))}


def test_every_shard_reads_the_one_import_of_the_file() -> None:
    tasks = plan(STUDY, weights()).tasks
    (importer,) = [task for task in tasks if isinstance(task.params, ImportGenerator)]
    assert importer.params == ImportGenerator(file=FILE, licence="CC0")
    for task in tasks:
        if isinstance(task.params, Reconstruct):
            assert task.params.bundled is None
            read = {i.role: i.artifact for i in task.inputs if i.key == importer.key}
            assert read == {
                "generator": "generator.safetensors",
                "description": "generator.json",
            }


def test_a_study_finds_the_work_of_the_import_itself() -> None:
    (task,) = plan(ImportSpec(name="published", file=FILE, licence="CC0")).tasks
    assert task.key in {task.key for task in plan(STUDY, weights()).tasks}
    assert task.work == 1000


def test_planning_writes_down_which_file_a_name_stood_for() -> None:
    pinned = ImportedGenerator(name="published", sha256=FILE.sha256, licence="CC0")
    assert pin(STUDY, weights()).generator == pinned
    (report,) = [t.params for t in plan(STUDY, weights()).tasks if isinstance(t.params, Report)]
    assert report.spec.generator == pinned
    assert plan(report.spec, weights()) == plan(STUDY, weights())


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (ImportedGenerator(name="another"), "another.*there are: published"),
        (ImportedGenerator(name="published", sha256="cd" * 32), "abab.*not cdcd"),
        (ImportedGenerator(name="published", licence="MIT"), "'CC0', not 'MIT'"),
    ],
    ids=["name", "file", "licence"],
)
def test_a_generator_that_is_not_there_is_unknown(generator: ImportedGenerator, says: str) -> None:
    with pytest.raises(UnknownGenerator, match=says):
        plan(STUDY.model_copy(update={"generator": generator}), weights())


def test_without_a_catalogue_nothing_is_imported() -> None:
    with pytest.raises(UnknownGenerator, match="there are: none"):
        plan(STUDY)


@pytest.mark.parametrize("changes", [{"resolution": 32}, {"channels": 3}, {"classes": 100}])
def test_images_of_another_form_are_refused_at_submission(changes: dict[str, int]) -> None:
    with pytest.raises(IncompatibleParts, match="published"):
        plan(STUDY, weights(**changes))


def test_a_generator_without_classes_fits_images_of_any() -> None:
    assert plan(STUDY, weights(classes=0)) == plan(STUDY, weights())


def test_an_import_is_stored_like_every_specification() -> None:
    spec = ImportSpec(name="published", file=FILE, licence="CC BY-NC-SA 4.0")
    assert STORED_SPEC.validate_json(spec.model_dump_json()) == spec
