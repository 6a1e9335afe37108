"""What the names in a specification stand for in a project, and the tasks that come of it."""

from uuid import UUID

from replicalab.db.database import Database
from replicalab.domain.generators import ImportedGenerator
from replicalab.domain.specs import (
    AnyImportSpec,
    AnySpec,
    ExperimentSpec,
    ImportSpec,
    TrainingSpec,
)
from replicalab.engine.datasets import registered_datasets
from replicalab.engine.generators import imported_generators
from replicalab.engine.reading import is_kept
from replicalab.errors import UnknownGenerator
from replicalab.file_errors import UnknownDataset
from replicalab.planning import datasets, importing
from replicalab.planning.builder import Plan
from replicalab.planning.plan import plan
from replicalab.storage.artifacts import ArtifactStore


def planned(
    database: Database, artifacts: ArtifactStore, spec: AnySpec, project_id: UUID
) -> tuple[AnySpec, Plan]:
    """``spec`` with the generator and the data sets that it names pinned, and its tasks.

    Raises:
        InvalidRequest: Its parts do not fit together.
        UnknownGenerator: The project has no such generator that is ready, or what ``spec`` imports
            was deleted meanwhile.
        UnknownDataset: The same of data sets.
    """
    if not isinstance(spec, ExperimentSpec | TrainingSpec):
        _check_is_kept(database, spec, project_id)
        return spec, plan(spec)
    spec = _with_datasets(database, artifacts, spec, project_id)
    if not (isinstance(spec, ExperimentSpec) and isinstance(spec.generator, ImportedGenerator)):
        return spec, plan(spec)
    with database.transaction() as session:
        catalogue = imported_generators(session, artifacts, project_id)
    return importing.pin(spec, catalogue), plan(spec, catalogue)


def _check_is_kept(database: Database, spec: AnyImportSpec, project_id: UUID) -> None:
    """A file is kept as long as what was made of it."""
    with database.transaction() as session:
        if is_kept(session, spec, project_id):
            return
    gone = f"{spec.name!r} was deleted, and its file with it; import it again."
    if isinstance(spec, ImportSpec):
        raise UnknownGenerator(f"The generator {gone}")
    raise UnknownDataset(f"The data set {gone}")


def _with_datasets(
    database: Database,
    artifacts: ArtifactStore,
    spec: ExperimentSpec | TrainingSpec,
    project_id: UUID,
) -> ExperimentSpec | TrainingSpec:
    if not datasets.is_any_registered(spec):
        return spec
    with database.transaction() as session:
        registered = registered_datasets(session, artifacts, project_id)
    return datasets.pinned(spec, registered)
