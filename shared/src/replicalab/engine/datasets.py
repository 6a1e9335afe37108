"""Imported data sets: what is shown of them, and what planning may use."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.orm import Session

from replicalab.db.datasets import DatasetRow
from replicalab.db.models import ExperimentRow
from replicalab.domain.artifacts import DATASET_DESCRIPTION, ArtifactRef
from replicalab.domain.dataset_resources import DatasetForm, DatasetRead
from replicalab.domain.datasets import DatasetContents, DatasetRecipe
from replicalab.domain.specs import DatasetImportSpec
from replicalab.domain.states import ExperimentState
from replicalab.engine.imports import Imports
from replicalab.engine.reading import Found, description_of, with_outcome
from replicalab.planning.datasets import DatasetVersion
from replicalab.planning.keys import canonical_json
from replicalab.refusals import DatasetInUse, DatasetNotFound
from replicalab.storage.artifacts import ArtifactStore


class Datasets(Imports[DatasetRow, DatasetRead, DatasetImportSpec]):
    """The data sets that were imported."""

    row = DatasetRow
    model = DatasetRead
    noun = "data set"
    field = "dataset"
    other_fields = (("features", "dataset"),)
    named = "registered"
    not_found = DatasetNotFound
    in_use = DatasetInUse

    def values(self, spec: DatasetImportSpec) -> Mapping[str, object]:
        """What is done to the images."""
        return {"recipe": spec.recipe.model_dump(mode="json")}

    def own_fields(self, session: Session, found: Found[DatasetRow]) -> Mapping[str, object]:
        """What the file holds and what is done to its images."""
        return {"recipe": _recipe_of(found[0]), "form": _form_of(session, self._artifacts, found)}


def registered_datasets(
    session: Session, artifacts: ArtifactStore, project_id: UUID
) -> Mapping[str, DatasetVersion]:
    """The data sets of a project that are ready, by name."""
    ready = with_outcome(DatasetRow).where(
        DatasetRow.project_id == project_id, ExperimentRow.state == ExperimentState.SUCCEEDED
    )
    versions: dict[str, DatasetVersion] = {}
    for found in session.execute(ready).all():
        form = _form_of(session, artifacts, found)
        if form is not None:
            versions[found[0].name] = DatasetVersion(form.version, _contents(found[0], form))
    return versions


def _contents(row: DatasetRow, form: DatasetForm) -> DatasetContents:
    return DatasetContents(
        file=ArtifactRef(sha256=row.sha256, size_bytes=row.size_bytes, media_type=row.media_type),
        recipe=_recipe_of(row),
        licence=row.licence,
        train_images=form.train_images,
        test_images=form.test_images,
        classes=len(form.class_names),
        resolution=form.resolution,
        channels=form.channels,
    )


def _recipe_of(row: DatasetRow) -> DatasetRecipe:
    return DatasetRecipe.model_validate_json(canonical_json(row.recipe))


def _form_of(
    session: Session, artifacts: ArtifactStore, found: Found[DatasetRow]
) -> DatasetForm | None:
    """What the file holds, noted in the row at the first look after the import."""
    row = found[0]
    if row.form is not None:
        return DatasetForm.model_validate_json(canonical_json(row.form))
    body = description_of(session, artifacts, found, DATASET_DESCRIPTION)
    if body is None:
        return None
    form = DatasetForm.model_validate_json(body)
    row.form = form.model_dump(mode="json")
    return form
