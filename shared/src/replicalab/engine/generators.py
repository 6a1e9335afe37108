"""Imported generators: what is shown of them, and what planning may use."""

import json
from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.orm import Session

from replicalab.db.generators import GeneratorRow
from replicalab.db.models import ExperimentRow
from replicalab.domain.artifacts import GENERATOR_DESCRIPTION, ArtifactRef
from replicalab.domain.generator_resources import GeneratorRead
from replicalab.domain.generators import Catalogue, ImportedWeights
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.specs import ImportSpec
from replicalab.domain.states import ExperimentState
from replicalab.engine.imports import Imports
from replicalab.engine.reading import Found, description_of, with_outcome
from replicalab.planning.keys import canonical_json
from replicalab.refusals import GeneratorInUse, GeneratorNotFound
from replicalab.storage.artifacts import ArtifactStore


class Generators(Imports[GeneratorRow, GeneratorRead, ImportSpec]):
    """The generators that were imported."""

    row = GeneratorRow
    model = GeneratorRead
    noun = "generator"
    field = "generator"
    named = "imported"
    not_found = GeneratorNotFound
    in_use = GeneratorInUse

    def values(self, spec: ImportSpec) -> Mapping[str, object]:  # noqa: ARG002 (there are none)
        """A generator has no column of its own."""
        return {}

    def own_fields(self, session: Session, found: Found[GeneratorRow]) -> Mapping[str, object]:
        """What the file holds."""
        return {"form": _form_of(session, self._artifacts, found)}


def imported_generators(session: Session, artifacts: ArtifactStore, project_id: UUID) -> Catalogue:
    """The generators of a project that are ready."""
    ready = with_outcome(GeneratorRow).where(
        GeneratorRow.project_id == project_id, ExperimentRow.state == ExperimentState.SUCCEEDED
    )
    catalogue: dict[str, ImportedWeights] = {}
    for found in session.execute(ready).all():
        row, form = found[0], _form_of(session, artifacts, found)
        if form is not None:
            file = ArtifactRef(
                sha256=row.sha256, size_bytes=row.size_bytes, media_type=row.media_type
            )
            catalogue[row.name] = ImportedWeights(file=file, licence=row.licence, form=form)
    return catalogue


def _form_of(
    session: Session, artifacts: ArtifactStore, found: Found[GeneratorRow]
) -> GeneratorForm | None:
    """What the file holds, noted in the row at the first look after the import."""
    row = found[0]
    if row.form is not None:
        return GeneratorForm.model_validate_json(canonical_json(row.form))
    body = description_of(session, artifacts, found, GENERATOR_DESCRIPTION)
    if body is None:
        return None
    description = json.loads(body)
    known = {name: description[name] for name in GeneratorForm.model_fields}
    form = GeneratorForm.model_validate_json(json.dumps(known))
    row.form = form.model_dump(mode="json")
    return form
