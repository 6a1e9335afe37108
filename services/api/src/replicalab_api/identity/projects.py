"""Projects: who may see and do what with the experiments in them."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.db.accounts import MembershipRow, ProjectRow, UserRow
from replicalab.db.database import Database
from replicalab.domain.account_resources import MemberRead, ProjectRead
from replicalab.domain.accounts import Principal, Role
from replicalab.refusals import NameTaken, ProjectNotFound, UserNotFound
from replicalab_api.identity import audit
from replicalab_api.identity.requests import Membership, NewProject


def _read(row: ProjectRow, role: Role | None) -> ProjectRead:
    return ProjectRead(id=row.id, name=row.name, role=role, created_at=row.created_at)


def visible_project(session: Session, caller: Principal, project_id: UUID) -> ProjectRow:
    """A project that ``caller`` sees; raises ``ProjectNotFound``."""
    row = session.get(ProjectRow, project_id)
    if row is None or caller.role_in(project_id) is None:
        raise ProjectNotFound("You have no project with this id.")
    return row


def check_visible(database: Database, caller: Principal, project_id: UUID) -> None:
    """Raise ``ProjectNotFound`` unless ``caller`` sees the project."""
    if project_id in caller.projects:  # there is no membership without its project
        return
    with database.transaction() as session:
        visible_project(session, caller, project_id)


def check_may_add(database: Database, caller: Principal, project_id: UUID) -> None:
    """Refuse callers who may not bring or submit anything to a project.

    Raises:
        ProjectNotFound: The caller is no member of the project.
        Forbidden: The caller may only look at the project.
    """
    check_visible(database, caller, project_id)
    caller.require_in(project_id, Role.RESEARCHER)


class Projects:
    """The projects that a caller can see; administrators see all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, caller: Principal) -> Sequence[ProjectRead]:
        """The caller's projects, by name."""
        query = sa.select(ProjectRow).order_by(ProjectRow.name)
        if not caller.is_admin:
            query = query.where(ProjectRow.id.in_(caller.projects))
        with self._database.transaction() as session:
            return [_read(row, caller.projects.get(row.id)) for row in session.scalars(query)]

    def get(self, caller: Principal, project_id: UUID) -> ProjectRead:
        """A project, or ``ProjectNotFound``."""
        with self._database.transaction() as session:
            row = visible_project(session, caller, project_id)
            return _read(row, caller.projects.get(project_id))

    def create(self, caller: Principal, new: NewProject) -> ProjectRead:
        """Make a project whose maintainer is the caller; raises ``NameTaken``."""
        with self._database.transaction() as session:
            added = session.scalars(
                insert(ProjectRow)
                .values(id=uuid7(), name=new.name)
                .on_conflict_do_nothing(index_elements=["name"])
                .returning(ProjectRow)
            ).one_or_none()
            if added is None:
                raise NameTaken("There is a project with this name already.")
            member = MembershipRow(
                project_id=added.id, user_id=caller.user_id, role=Role.MAINTAINER
            )
            session.add(member)
            after = _read(added, Role.MAINTAINER)
            audit.record(session, caller, "project.create", f"project/{added.id}", after=after)
            return after

    def members(self, caller: Principal, project_id: UUID) -> Sequence[MemberRead]:
        """Everybody in a project, by name; raises ``ProjectNotFound``."""
        with self._database.transaction() as session:
            visible_project(session, caller, project_id)
            rows = session.execute(
                sa.select(UserRow, MembershipRow.role)
                .join(MembershipRow, MembershipRow.user_id == UserRow.id)
                .where(MembershipRow.project_id == project_id)
                .order_by(UserRow.name)
            )
            return [_member(user, role) for user, role in rows]

    def set_member(
        self, caller: Principal, project_id: UUID, user_id: UUID, membership: Membership
    ) -> MemberRead:
        """Give a user a role in a project.

        Raises:
            ProjectNotFound: The caller does not see such a project.
            Forbidden: The caller is no maintainer of it.
            UserNotFound: No such user.
        """
        with self._database.transaction() as session:
            visible_project(session, caller, project_id)
            caller.require_in(project_id, Role.MAINTAINER)
            user = session.get(UserRow, user_id)
            if user is None:
                raise UserNotFound("No user has this id.")
            session.execute(
                insert(MembershipRow)
                .values(project_id=project_id, user_id=user_id, role=membership.role)
                .on_conflict_do_update(
                    index_elements=["project_id", "user_id"], set_={"role": membership.role}
                )
            )
            target = f"project/{project_id}/member/{user_id}"
            audit.record(session, caller, "member.set", target, after=membership)
            return _member(user, membership.role)

    def remove_member(self, caller: Principal, project_id: UUID, user_id: UUID) -> None:
        """Take a user out of a project; that they are no member is no error."""
        with self._database.transaction() as session:
            visible_project(session, caller, project_id)
            caller.require_in(project_id, Role.MAINTAINER)
            session.execute(
                sa.delete(MembershipRow).where(
                    MembershipRow.project_id == project_id, MembershipRow.user_id == user_id
                )
            )
            target = f"project/{project_id}/member/{user_id}"
            audit.record(session, caller, "member.remove", target)


def _member(user: UserRow, role: Role) -> MemberRead:
    return MemberRead(user_id=user.id, name=user.name, display_name=user.display_name, role=role)
