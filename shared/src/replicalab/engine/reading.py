"""How far imports are, and the description that an import wrote."""

from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.imports import ImportedRow
from replicalab.db.models import (
    ArtifactRow,
    DatasetRow,
    ExperimentRow,
    ExperimentTaskRow,
    GeneratorRow,
    TaskRow,
)
from replicalab.domain.import_states import ImportState
from replicalab.domain.specs import AnyImportSpec, ImportSpec
from replicalab.domain.states import ExperimentState
from replicalab.engine.details import ref_of_row
from replicalab.engine.failures import FailureClass
from replicalab.storage.artifacts import ArtifactStore

Row = TypeVar("Row", bound=ImportedRow)
Found = sa.Row[Row, ExperimentState, str | None, str | None]
"""A row with the state of its import, and how its task failed: class and words."""


def with_outcome(row: type[Row]) -> sa.Select[Row, ExperimentState, str | None, str | None]:
    """Every row of a table of imports with its outcome."""
    return (
        sa.select(row, ExperimentRow.state, TaskRow.error_class, TaskRow.error)
        .join(ExperimentRow, ExperimentRow.id == row.experiment_id)
        .join(ExperimentTaskRow, ExperimentTaskRow.experiment_id == ExperimentRow.id)
        .join(TaskRow, TaskRow.id == ExperimentTaskRow.task_id)
    )


def state_of(found: Found[Row]) -> ImportState:
    """How far the import is."""
    experiment, error_class = found[1], found[2]
    if experiment is ExperimentState.SUCCEEDED:
        return ImportState.READY
    if experiment is ExperimentState.NEEDS_ATTENTION:
        return ImportState.NEEDS_ATTENTION
    if not experiment.is_terminal:
        return ImportState.IMPORTING
    is_refused = experiment is ExperimentState.FAILED and error_class == FailureClass.INPUT
    return ImportState.REFUSED if is_refused else ImportState.FAILED


def problem_of(found: Found[Row]) -> str | None:
    """Why there is nothing to use, unless the import goes on."""
    if state_of(found) in {ImportState.READY, ImportState.IMPORTING}:
        return None
    return found[3] or "The import was cancelled."


def description_of(
    session: Session, artifacts: ArtifactStore, found: Found[Row], name: str
) -> bytes | None:
    """The artifact ``name`` of an import that has succeeded."""
    if found[1] is not ExperimentState.SUCCEEDED:
        return None
    artifact = session.scalars(
        sa.select(ArtifactRow)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == ArtifactRow.task_id)
        .where(
            ExperimentTaskRow.experiment_id == found[0].experiment_id,
            ArtifactRow.name == name,
        )
    ).one()
    return artifacts.read(ref_of_row(artifact))


def is_kept(session: Session, spec: AnyImportSpec, project_id: UUID) -> bool:
    """Whether what ``spec`` imports is still there, and its file with it."""
    table, conditions = _imported_by(spec, project_id)
    return bool(session.scalar(sa.select(sa.exists(table).where(*conditions))))


def follow_retry(
    session: Session, spec: AnyImportSpec, project_id: UUID, experiment_id: UUID
) -> None:
    """Let what ``spec`` imports depend on ``experiment_id``, a later try."""
    table, conditions = _imported_by(spec, project_id)
    session.execute(sa.update(table).where(*conditions).values(experiment_id=experiment_id))


def _imported_by(
    spec: AnyImportSpec, project_id: UUID
) -> tuple[type[ImportedRow], tuple[sa.ColumnElement[bool], ...]]:
    """The table, and the conditions of the row, of what ``spec`` makes."""
    table: type[ImportedRow] = GeneratorRow if isinstance(spec, ImportSpec) else DatasetRow
    return table, (
        table.project_id == project_id,
        table.name == spec.name,
        table.sha256 == spec.file.sha256,
    )
