"""What was brought into projects, as a caller may see and change it."""

from typing import Generic
from uuid import UUID

import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.domain.accounts import Principal, Role
from replicalab.engine.imports import ImportingSpec, Imports, Read, Row
from replicalab.refusals import Forbidden
from replicalab.storage.sources import Source
from replicalab_api.identity import audit
from replicalab_api.identity.projects import check_may_add


class LabImports(Generic[Row, Read, ImportingSpec]):
    """Generators or data sets of the lab; everybody in a project sees those of the project."""

    def __init__(self, imports: Imports[Row, Read, ImportingSpec], database: Database) -> None:
        self._imports: Imports[Row, Read, ImportingSpec] = imports
        self._database = database

    def check(self, caller: Principal, project_id: UUID, name: str) -> None:
        """Refuse what ``bring`` would, before the file is sent.

        Raises:
            ProjectNotFound: The caller is no member of the project.
            Forbidden: The caller may only look at the project.
            NameTaken: The project has one of this name.
        """
        check_may_add(self._database, caller, project_id)
        self._imports.check_name(project_id, name)

    def bring(
        self, caller: Principal, project_id: UUID, source: Source, spec: ImportingSpec
    ) -> Read:
        """Store a file and begin its import; ``check`` has let it in."""
        brought = self._imports.bring(
            source,
            spec,
            owner=caller.name,
            owner_id=caller.user_id,
            project_id=project_id,
        )
        with self._database.transaction() as session:
            audit.record(
                session,
                caller,
                f"{self._imports.field}.import",
                self._target(brought.id),
                after=spec,
            )
        return brought

    def get(self, caller: Principal, import_id: UUID) -> Read:
        """The one of this id; raises the ``NotFound`` of its kind."""
        found = self._imports.get(import_id)
        if caller.role_in(found.project_id) is None:
            raise self._imports.missing(import_id)
        return found

    def list(
        self,
        caller: Principal,
        *,
        limit: int,
        before: UUID | None,
        project_id: UUID | None,
        name: str | None,
    ) -> tuple[list[Read], UUID | None]:
        """A page of what the caller sees, and where the next one begins."""
        row = self._imports.row
        seen = sa.true() if caller.is_admin else row.project_id.in_(caller.projects)
        asked = sa.true() if project_id is None else row.project_id == project_id
        where = sa.and_(seen, asked)
        return self._imports.list(limit=limit, before=before, name=name, where=where)

    def delete(self, caller: Principal, import_id: UUID) -> None:
        """Forget it and remove its file.

        Raises:
            NotFound: The caller sees none of this id.
            Forbidden: The caller has not brought it, and is no maintainer of the project.
            Conflict: It is being imported, or an unfinished experiment needs it.
        """
        found = self.get(caller, import_id)
        role = caller.role_in(found.project_id)
        if found.owner != caller.name and not (role and role.includes(Role.MAINTAINER)):
            raise Forbidden("Only who brought it and maintainers of its project may do this.")
        with self._database.transaction() as session:
            self._imports.delete(session, import_id)
            action = f"{self._imports.field}.delete"
            audit.record(session, caller, action, self._target(import_id), before=found)
        self._imports.clean(found)

    def _target(self, import_id: UUID) -> str:
        return f"{self._imports.field}/{import_id}"
