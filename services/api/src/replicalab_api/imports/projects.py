"""Who may bring something into a project."""

from uuid import UUID

from replicalab.db.accounts import ProjectRow
from replicalab.db.database import Database
from replicalab.domain.accounts import Principal, Role
from replicalab.refusals import ProjectNotFound


def check_project(database: Database, caller: Principal, project_id: UUID) -> None:
    """Refuse callers who may not.

    Raises:
        ProjectNotFound: The caller is no member of the project.
        Forbidden: The caller may only look at the project.
    """
    if caller.role_in(project_id) is None or not _exists(database, project_id):
        raise ProjectNotFound("You have no project with this id.")
    caller.require_in(project_id, Role.RESEARCHER)


def _exists(database: Database, project_id: UUID) -> bool:
    with database.transaction() as session:
        return session.get(ProjectRow, project_id) is not None
