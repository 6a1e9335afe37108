"""Generators as a caller may see and change them."""

from uuid import UUID

import sqlalchemy as sa

from replicalab.db.accounts import ProjectRow
from replicalab.db.database import Database
from replicalab.db.generators import GeneratorRow
from replicalab.domain.accounts import Principal, Role
from replicalab.domain.generator_resources import GeneratorPage, GeneratorRead
from replicalab.domain.specs import ImportSpec
from replicalab.engine.generators import Generators
from replicalab.refusals import Forbidden, GeneratorNotFound, ProjectNotFound
from replicalab_api.http.uploads import Upload
from replicalab_api.identity import audit


class LabGenerators:
    """The generators of the lab; everybody in a project sees those of the project."""

    def __init__(self, generators: Generators, database: Database) -> None:
        self._generators = generators
        self._database = database

    def check(self, caller: Principal, project_id: UUID, name: str) -> None:
        """Refuse what ``bring`` would, before the file is sent.

        Raises:
            ProjectNotFound: The caller is no member of the project.
            Forbidden: The caller may only look at the project.
            NameTaken: The project has a generator of this name.
        """
        if caller.role_in(project_id) is None or not self._exists(project_id):
            raise ProjectNotFound("You have no project with this id.")
        caller.require_in(project_id, Role.RESEARCHER)
        self._generators.check_name(project_id, name)

    def bring(
        self, caller: Principal, project_id: UUID, upload: Upload, *, name: str, licence: str
    ) -> GeneratorRead:
        """Store an uploaded file and begin its import; ``check`` has let it in."""
        spec = ImportSpec(name=name, file=upload.ref, licence=licence)
        brought = self._generators.bring(
            upload.file,
            spec,
            owner=caller.name,
            owner_id=caller.user_id,
            project_id=project_id,
        )
        target = f"generator/{brought.id}"
        with self._database.transaction() as session:
            audit.record(session, caller, "generator.import", target, after=spec)
        return brought

    def get(self, caller: Principal, generator_id: UUID) -> GeneratorRead:
        """The generator, or ``GeneratorNotFound``."""
        found = self._generators.get(generator_id)
        if caller.role_in(found.project_id) is None:
            raise GeneratorNotFound(f"No generator has the id {generator_id}.")
        return found

    def list(
        self,
        caller: Principal,
        *,
        limit: int,
        before: UUID | None,
        project_id: UUID | None,
        name: str | None,
    ) -> GeneratorPage:
        """A page of what the caller sees."""
        seen = sa.true() if caller.is_admin else GeneratorRow.project_id.in_(caller.projects)
        asked = sa.true() if project_id is None else GeneratorRow.project_id == project_id
        where = sa.and_(seen, asked)
        return self._generators.list(limit=limit, before=before, name=name, where=where)

    def delete(self, caller: Principal, generator_id: UUID) -> None:
        """Forget a generator and remove its file.

        Raises:
            GeneratorNotFound: The caller sees none of this id.
            Forbidden: The caller has not brought it, and is no maintainer of the project.
            GeneratorInUse: It is being imported, or an unfinished experiment needs it.
        """
        found = self.get(caller, generator_id)
        role = caller.role_in(found.project_id)
        if found.owner != caller.name and not (role and role.includes(Role.MAINTAINER)):
            raise Forbidden("Only who brought it and maintainers of its project may do this.")
        with self._database.transaction() as session:
            self._generators.delete(session, generator_id)
            target = f"generator/{generator_id}"
            audit.record(session, caller, "generator.delete", target, before=found)
        self._generators.clean(found)

    def _exists(self, project_id: UUID) -> bool:
        with self._database.transaction() as session:
            return session.get(ProjectRow, project_id) is not None
