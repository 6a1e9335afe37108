"""Reading imported generators: how far they are, what they hold, and what planning may use."""

import json
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.generators import GeneratorRow
from replicalab.db.models import ArtifactRow, ExperimentRow, ExperimentTaskRow, TaskRow
from replicalab.domain.artifacts import GENERATOR_DESCRIPTION, ArtifactRef
from replicalab.domain.generator_resources import GeneratorRead, GeneratorState
from replicalab.domain.generators import Catalogue, ImportedGenerator, ImportedWeights
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.specs import ExperimentSpec, ImportSpec, TrainingSpec
from replicalab.domain.states import ExperimentState
from replicalab.engine.details import ref_of_row
from replicalab.engine.failures import FailureClass
from replicalab.errors import UnknownGenerator
from replicalab.planning import importing
from replicalab.planning.builder import Plan
from replicalab.planning.keys import canonical_json
from replicalab.planning.plan import plan
from replicalab.storage.artifacts import ArtifactStore

AnySpec = TypeVar("AnySpec", bound=ExperimentSpec | TrainingSpec | ImportSpec)
Found = sa.Row[GeneratorRow, ExperimentState, str | None, str | None]


def planned(
    database: Database, artifacts: ArtifactStore, spec: AnySpec, project_id: UUID
) -> tuple[AnySpec, Plan]:
    """``spec`` with the imported generator that it names pinned, and its tasks.

    Raises:
        InvalidRequest: Its parts do not fit together.
        UnknownGenerator: The project has no such generator that is ready, or what ``spec`` imports
            was deleted meanwhile.
    """
    if isinstance(spec, ImportSpec):
        _check_is_there(database, spec, project_id)
    if not (isinstance(spec, ExperimentSpec) and isinstance(spec.generator, ImportedGenerator)):
        return spec, plan(spec)
    with database.transaction() as session:
        catalogue = _catalogue(session, artifacts, project_id)
    return importing.pin(spec, catalogue), plan(spec, catalogue)


def _check_is_there(database: Database, spec: ImportSpec, project_id: UUID) -> None:
    """A file is kept as long as its generator."""
    with database.transaction() as session:
        if not session.scalar(sa.select(sa.exists().where(*_imported_by(spec, project_id)))):
            raise UnknownGenerator(
                f"The generator {spec.name!r} was deleted, and its file with it; import it again."
            )


def _catalogue(session: Session, artifacts: ArtifactStore, project_id: UUID) -> Catalogue:
    """The generators of a project that are ready."""
    ready = generators().where(
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


def generators() -> sa.Select[GeneratorRow, ExperimentState, str | None, str | None]:
    """Every generator with the state of its import, and how its task failed."""
    return (
        sa.select(GeneratorRow, ExperimentRow.state, TaskRow.error_class, TaskRow.error)
        .join(ExperimentRow, ExperimentRow.id == GeneratorRow.experiment_id)
        .join(ExperimentTaskRow, ExperimentTaskRow.experiment_id == ExperimentRow.id)
        .join(TaskRow, TaskRow.id == ExperimentTaskRow.task_id)
    )


def _form_of(session: Session, artifacts: ArtifactStore, found: Found) -> GeneratorForm | None:
    """What the file holds, noted in the row at the first look after the import."""
    row, state = found[0], found[1]
    if row.form is not None:
        return GeneratorForm.model_validate_json(canonical_json(row.form))
    if state is not ExperimentState.SUCCEEDED:
        return None
    artifact = session.scalars(
        sa.select(ArtifactRow)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == ArtifactRow.task_id)
        .where(
            ExperimentTaskRow.experiment_id == row.experiment_id,
            ArtifactRow.name == GENERATOR_DESCRIPTION,
        )
    ).one()
    description = json.loads(artifacts.read(ref_of_row(artifact)))
    known = {name: description[name] for name in GeneratorForm.model_fields}
    form = GeneratorForm.model_validate_json(json.dumps(known))
    row.form = form.model_dump(mode="json")
    return form


def follow_retry(session: Session, spec: ImportSpec, project_id: UUID, experiment_id: UUID) -> None:
    """Let the generator that ``spec`` imports depend on ``experiment_id``, a later try."""
    session.execute(
        sa.update(GeneratorRow)
        .where(*_imported_by(spec, project_id))
        .values(experiment_id=experiment_id)
    )


def _imported_by(spec: ImportSpec, project_id: UUID) -> tuple[sa.ColumnElement[bool], ...]:
    """Conditions of the generator that ``spec`` makes."""
    return (
        GeneratorRow.project_id == project_id,
        GeneratorRow.name == spec.name,
        GeneratorRow.sha256 == spec.file.sha256,
    )


def read_generator(session: Session, artifacts: ArtifactStore, found: Found) -> GeneratorRead:
    """What is shown of a generator."""
    row, experiment_state, error_class, error = found
    state = _state(experiment_state, error_class)
    has_problem = state not in {GeneratorState.READY, GeneratorState.IMPORTING}
    return GeneratorRead(
        id=row.id,
        project_id=row.project_id,
        owner=row.owner,
        name=row.name,
        licence=row.licence,
        state=state,
        problem=(error or "The import was cancelled.") if has_problem else None,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        form=_form_of(session, artifacts, found),
        experiment_id=row.experiment_id,
        created_at=row.created_at,
    )


def _state(experiment: ExperimentState, error_class: str | None) -> GeneratorState:
    if experiment is ExperimentState.SUCCEEDED:
        return GeneratorState.READY
    if experiment is ExperimentState.NEEDS_ATTENTION:
        return GeneratorState.NEEDS_ATTENTION
    if not experiment.is_terminal:
        return GeneratorState.IMPORTING
    is_refused = experiment is ExperimentState.FAILED and error_class == FailureClass.INPUT
    return GeneratorState.REFUSED if is_refused else GeneratorState.FAILED
