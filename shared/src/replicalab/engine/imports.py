"""What people bring, whatever it is: a file, and the experiment that imports it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.db.database import Database
from replicalab.db.imports import ImportedRow
from replicalab.db.models import ArtifactRow, DatasetRow, ExperimentRow, GeneratorRow
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.dataset_resources import DatasetRead
from replicalab.domain.generator_resources import GeneratorRead
from replicalab.domain.priorities import Priority
from replicalab.domain.specs import DatasetImportSpec, ImportSpec
from replicalab.engine.damages import note_whole
from replicalab.engine.orphans import lock_marks
from replicalab.engine.reading import Found, problem_of, state_of, with_outcome
from replicalab.engine.submission import Submission
from replicalab.errors import Conflict, NotFound
from replicalab.planning.plan import plan
from replicalab.refusals import NameTaken
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.sources import Source

Row = TypeVar("Row", bound=ImportedRow)
Read = TypeVar("Read", GeneratorRead, DatasetRead)
ImportingSpec = TypeVar("ImportingSpec", ImportSpec, DatasetImportSpec)


class Imports(ABC, Generic[Row, Read, ImportingSpec]):
    """Files that were brought, on PostgreSQL and the object store; subclasses say of what."""

    row: type[Row]
    model: type[Read]
    noun: ClassVar[str]
    """In sentences: "generator"."""
    field: ClassVar[str]
    """Of a specification, in which one is named."""
    other_fields: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Paths to more of them."""
    named: ClassVar[str]
    """``kind`` of such a field where one is named."""
    not_found: ClassVar[type[NotFound]]
    in_use: ClassVar[type[Conflict]]

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    @abstractmethod
    def own_fields(self, session: Session, found: Found[Row]) -> Mapping[str, object]:
        """What is shown of a row besides what is shown of any import."""

    @abstractmethod
    def values(self, spec: ImportingSpec) -> Mapping[str, object]:
        """Columns that only this table has."""

    def read(self, session: Session, found: Found[Row]) -> Read:
        """What is shown of a row."""
        row = found[0]
        shown = {
            "id": row.id,
            "project_id": row.project_id,
            "owner": row.owner,
            "name": row.name,
            "licence": row.licence,
            "state": state_of(found),
            "problem": problem_of(found),
            "sha256": row.sha256,
            "size_bytes": row.size_bytes,
            "experiment_id": row.experiment_id,
            "created_at": row.created_at,
        }
        return self.model.model_validate({**shown, **self.own_fields(session, found)})

    def check_name(self, project_id: UUID, name: str) -> None:
        """Raise ``NameTaken`` where ``bring`` would: before a long upload, not after it."""
        with self._database.transaction() as session:
            self._check_name(session, project_id, name)

    def bring(
        self,
        source: Source,
        spec: ImportingSpec,
        *,
        owner: str,
        owner_id: UUID,
        project_id: UUID,
    ) -> Read:
        """Store a file and submit its import: both happen, or neither.

        Args:
            source: Where the file is.
            spec: Name, file and licence; what it tells of the file is the source's.
            owner: Who brings it.
            owner_id: Their id.
            project_id: Where it goes.

        Raises:
            NameTaken: The project has one of this name.
            QuotaExceeded: The owner has used up their compute.
            UploadExpired: The source is an upload that is gone.
        """
        source.store(self._artifacts.objects)
        try:
            with self._database.transaction() as session:
                self._check_name(session, project_id, spec.name)
                lock_marks(session, [spec.file.store_key])
                note_whole(session, [spec.file.sha256])
                import_id = self._submit(session, spec, owner, owner_id, project_id)
            if not self._artifacts.is_present(spec.file):
                # Somebody had removed the same file meanwhile.
                source.store(self._artifacts.objects)
        except BaseException:
            self._remove_unused(spec.file)
            raise
        return self.get(import_id)

    def _submit(
        self,
        session: Session,
        spec: ImportingSpec,
        owner: str,
        owner_id: UUID,
        project_id: UUID,
    ) -> UUID:
        submission = Submission(session, self._artifacts)
        submission.replay(spec, owner, project_id, None)
        experiment_id = submission.accept(
            spec,
            plan(spec),
            owner=owner,
            key=None,
            priority=Priority.INTERACTIVE,  # somebody waits for it, and it is short
            owner_id=owner_id,
            project_id=project_id,
        )
        added: UUID | None = session.scalar(
            insert(self.row)
            .values(
                id=uuid7(),
                project_id=project_id,
                owner_id=owner_id,
                owner=owner,
                name=spec.name,
                licence=spec.licence,
                sha256=spec.file.sha256,
                size_bytes=spec.file.size_bytes,
                media_type=spec.file.media_type,
                experiment_id=experiment_id,
                **self.values(spec),
            )
            .on_conflict_do_nothing(index_elements=["project_id", "name"])
            .returning(self.row.id)
        )
        if added is None:
            raise self._name_taken(spec.name)
        return added

    def get(self, import_id: UUID) -> Read:
        """The one of this id; raises ``not_found``."""
        with self._database.transaction() as session:
            query = with_outcome(self.row).where(self.row.id == import_id)
            found = session.execute(query).one_or_none()
            if found is None:
                raise self.missing(import_id)
            return self.read(session, found)

    def list(
        self,
        *,
        limit: int,
        before: UUID | None = None,
        name: str | None = None,
        where: sa.ColumnElement[bool] | None = None,
    ) -> tuple[list[Read], UUID | None]:
        """Newest first, from below ``before``, and where the next page begins if there is one.

        Arguments as for experiments.
        """
        query = with_outcome(self.row).order_by(self.row.id.desc()).limit(limit + 1)
        if where is not None:
            query = query.where(where)
        if before is not None:
            query = query.where(self.row.id < before)
        if name is not None:
            query = query.where(self.row.name.icontains(name, autoescape=True))
        with self._database.transaction() as session:
            rows = session.execute(query).all()
            items = [self.read(session, found) for found in rows[:limit]]
        return items, items[-1].id if len(rows) > limit else None

    def delete(self, session: Session, import_id: UUID) -> None:
        """Forget it; ``clean`` removes its file once that is committed.

        Raises:
            NotFound: There is none.
            Conflict: It is being imported, or an unfinished experiment needs it.
        """
        query = with_outcome(self.row).where(self.row.id == import_id)
        found = session.execute(query.with_for_update(of=self.row)).one_or_none()
        if found is None:
            raise self.missing(import_id)
        row, state, _, _ = found
        if not state.is_terminal:
            raise self.in_use(
                f"It is being imported; cancel the experiment {row.experiment_id} first.",
                experiments=[str(row.experiment_id)],
            )
        if users := self._users_of(session, row):
            listed = ", ".join(map(str, users))
            raise self.in_use(f"Unfinished experiments need it: {listed}.", experiments=users)
        session.delete(row)

    def clean(self, file: GeneratorRead | DatasetRead) -> None:
        """Remove the file of what was deleted, unless something else needs it."""
        self._remove_unused(
            ArtifactRef(sha256=file.sha256, size_bytes=file.size_bytes, media_type="")
        )

    def _remove_unused(self, ref: ArtifactRef) -> None:
        users = sa.or_(
            *(
                sa.exists().where(table.sha256 == ref.sha256)
                for table in (GeneratorRow, DatasetRow, ArtifactRow)
            )
        )
        with self._database.transaction() as session:
            if not session.scalar(sa.select(users)):
                self._artifacts.objects.delete(ref.store_key)

    def _users_of(self, session: Session, row: Row) -> Sequence[str]:
        """Unfinished experiments of the project whose specification names it."""
        fields = [ExperimentRow.spec[path] for path in ((self.field,), *self.other_fields)]
        is_named = [
            sa.and_(field["kind"].astext == self.named, field["name"].astext == row.name)
            for field in fields
        ]
        ids = session.scalars(
            sa.select(ExperimentRow.id).where(
                ExperimentRow.project_id == row.project_id,
                ExperimentRow.ended_at.is_(None),
                sa.or_(*is_named),
            )
        )
        return [str(experiment_id) for experiment_id in ids]

    def _check_name(self, session: Session, project_id: UUID, name: str) -> None:
        taken = sa.exists().where(self.row.project_id == project_id, self.row.name == name)
        if session.scalar(sa.select(taken)):
            raise self._name_taken(name)

    def _name_taken(self, name: str) -> NameTaken:
        return NameTaken(
            f"The project has a {self.noun} {name!r} already; delete it, or choose another."
        )

    def missing(self, import_id: UUID) -> NotFound:
        """The error that says there is none of this id."""
        return self.not_found(f"No {self.noun} has the id {import_id}.")
