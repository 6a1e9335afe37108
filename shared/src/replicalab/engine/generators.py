"""Imported generators: a file that somebody brought, and the experiment that imports it."""

from collections.abc import Sequence
from typing import BinaryIO
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.db.database import Database
from replicalab.db.generators import GeneratorRow
from replicalab.db.models import ArtifactRow, ExperimentRow
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.generator_resources import GeneratorPage, GeneratorRead
from replicalab.domain.priorities import Priority
from replicalab.domain.specs import ImportSpec
from replicalab.engine.damages import note_whole
from replicalab.engine.imports import generators, read_generator
from replicalab.engine.orphans import lock_marks
from replicalab.engine.submission import Submission
from replicalab.planning import importing
from replicalab.refusals import GeneratorInUse, GeneratorNotFound, NameTaken
from replicalab.storage.artifacts import ArtifactStore


class Generators:
    """The generators that were imported, on PostgreSQL and the object store."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def check_name(self, project_id: UUID, name: str) -> None:
        """Raise ``NameTaken`` where ``bring`` would: before a long upload, not after it."""
        with self._database.transaction() as session:
            _check_name(session, project_id, name)

    def bring(
        self,
        file: BinaryIO,
        spec: ImportSpec,
        *,
        owner: str,
        owner_id: UUID,
        project_id: UUID,
    ) -> GeneratorRead:
        """Store a file and submit its import: both happen, or neither.

        Args:
            file: At its beginning; what ``spec.file`` tells of it has been found out.
            spec: Name, file and licence.
            owner: Who brings it.
            owner_id: Their id.
            project_id: Where it goes.

        Raises:
            NameTaken: The project has a generator of this name.
            QuotaExceeded: The owner has used up their compute.
        """
        self._store(file, spec.file)
        try:
            with self._database.transaction() as session:
                _check_name(session, project_id, spec.name)
                lock_marks(session, [spec.file.store_key])
                note_whole(session, [spec.file.sha256])
                generator_id = self._submit(session, spec, owner, owner_id, project_id)
            if not self._artifacts.is_present(spec.file):
                self._store(file, spec.file)  # somebody had removed the same file meanwhile
        except BaseException:
            self._remove_unused(spec.file)
            raise
        return self.get(generator_id)

    def _store(self, file: BinaryIO, ref: ArtifactRef) -> None:
        file.seek(0)
        self._artifacts.objects.put_file(ref.store_key, file, ref.size_bytes, ref.media_type)

    def _submit(
        self, session: Session, spec: ImportSpec, owner: str, owner_id: UUID, project_id: UUID
    ) -> UUID:
        submission = Submission(session, self._artifacts)
        submission.replay(spec, owner, project_id, None)
        experiment_id = submission.accept(
            spec,
            importing.plan(spec),
            owner=owner,
            key=None,
            priority=Priority.INTERACTIVE,  # somebody waits for it, and it is short
            owner_id=owner_id,
            project_id=project_id,
        )
        added: UUID | None = session.scalar(
            insert(GeneratorRow)
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
            )
            .on_conflict_do_nothing(index_elements=["project_id", "name"])
            .returning(GeneratorRow.id)
        )
        if added is None:
            raise _name_taken(spec.name)
        return added

    def get(self, generator_id: UUID) -> GeneratorRead:
        """The generator, or ``GeneratorNotFound``."""
        with self._database.transaction() as session:
            query = generators().where(GeneratorRow.id == generator_id)
            found = session.execute(query).one_or_none()
            if found is None:
                raise _not_found(generator_id)
            return read_generator(session, self._artifacts, found)

    def list(
        self,
        *,
        limit: int,
        before: UUID | None = None,
        name: str | None = None,
        where: sa.ColumnElement[bool] | None = None,
    ) -> GeneratorPage:
        """Generators, newest first, from below ``before``; arguments as for experiments."""
        query = generators().order_by(GeneratorRow.id.desc()).limit(limit + 1)
        if where is not None:
            query = query.where(where)
        if before is not None:
            query = query.where(GeneratorRow.id < before)
        if name is not None:
            query = query.where(GeneratorRow.name.icontains(name, autoescape=True))
        with self._database.transaction() as session:
            rows = session.execute(query).all()
            items = [read_generator(session, self._artifacts, found) for found in rows[:limit]]
        more = len(rows) > limit
        return GeneratorPage(items=items, next_cursor=str(items[-1].id) if more else None)

    def delete(self, session: Session, generator_id: UUID) -> None:
        """Forget a generator; ``clean`` removes its file once that is committed.

        Raises:
            GeneratorNotFound: There is none.
            GeneratorInUse: It is being imported, or an unfinished experiment needs it.
        """
        found = session.execute(
            generators().where(GeneratorRow.id == generator_id).with_for_update(of=GeneratorRow)
        ).one_or_none()
        if found is None:
            raise _not_found(generator_id)
        row, state, _, _ = found
        if not state.is_terminal:
            raise GeneratorInUse(
                f"It is being imported; cancel the experiment {row.experiment_id} first.",
                experiments=[str(row.experiment_id)],
            )
        if users := _users_of(session, row):
            listed = ", ".join(map(str, users))
            raise GeneratorInUse(f"Unfinished experiments need it: {listed}.", experiments=users)
        session.delete(row)

    def clean(self, file: GeneratorRead) -> None:
        """Remove the file of a generator that was deleted, unless something else needs it."""
        self._remove_unused(
            ArtifactRef(sha256=file.sha256, size_bytes=file.size_bytes, media_type="")
        )

    def _remove_unused(self, ref: ArtifactRef) -> None:
        users = sa.or_(
            sa.exists().where(GeneratorRow.sha256 == ref.sha256),
            sa.exists().where(ArtifactRow.sha256 == ref.sha256),
        )
        with self._database.transaction() as session:
            if not session.scalar(sa.select(users)):
                self._artifacts.objects.delete(ref.store_key)


def _users_of(session: Session, row: GeneratorRow) -> Sequence[str]:
    """Unfinished experiments of the project whose specification names the generator."""
    generator = ExperimentRow.spec["generator"]
    ids = session.scalars(
        sa.select(ExperimentRow.id).where(
            ExperimentRow.project_id == row.project_id,
            ExperimentRow.ended_at.is_(None),
            generator["kind"].astext == "imported",
            generator["name"].astext == row.name,
        )
    )
    return [str(experiment_id) for experiment_id in ids]


def _check_name(session: Session, project_id: UUID, name: str) -> None:
    taken = sa.exists().where(GeneratorRow.project_id == project_id, GeneratorRow.name == name)
    if session.scalar(sa.select(taken)):
        raise _name_taken(name)


def _name_taken(name: str) -> NameTaken:
    return NameTaken(f"The project has a generator {name!r} already; delete it, or choose another.")


def _not_found(generator_id: UUID) -> GeneratorNotFound:
    return GeneratorNotFound(f"No generator has the id {generator_id}.")
