"""Who may do what: roles, the scopes of credentials, and the caller of a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from uuid import UUID

from replicalab.refusals import Forbidden

DEFAULT_PROJECT_ID = UUID("00000000-0000-7000-8000-000000000001")
"""What was submitted before there were projects belongs to it, and every new user is a member."""
LAB_USER_ID = UUID("00000000-0000-7000-8000-000000000002")
"""The user that the bootstrap token stands for."""
LAB_USER_NAME = "lab"


@unique
class Role(StrEnum):
    """What somebody may do at most; each role includes those before it."""

    VIEWER = "viewer"
    RESEARCHER = "researcher"
    MAINTAINER = "maintainer"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0 may do least."""
        return _ROLES.index(self)

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that ``other`` may."""
        return self.rank >= other.rank


_ROLES = tuple(Role)


@unique
class Scope(StrEnum):
    """What a token may be used for, whatever its user may do besides."""

    READ = "read"
    WRITE = "write"
    TOKENS = "tokens"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request.

    Attributes:
        user_id: Whose request it is.
        name: Under which the user owns experiments.
        role: In the whole lab; no role in a project goes beyond it.
        scopes: Of the credential.
        projects: Role in every project that the user is a member of.
        credential: What was shown: ``bootstrap``, ``session`` or ``token:<public id>``.
        request_id: Under which log and audit know the request.
    """

    user_id: UUID
    name: str
    role: Role
    scopes: frozenset[Scope]
    projects: Mapping[UUID, Role]
    credential: str
    request_id: str = ""

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def role_in(self, project_id: UUID) -> Role | None:
        """The role in a project, never above the one in the lab; None where nothing is visible."""
        if self.is_admin:
            return Role.ADMIN
        role = self.projects.get(project_id)
        return None if role is None else min(role, self.role, key=lambda one: one.rank)

    def require(self, role: Role, scope: Scope) -> None:
        """Raise ``Forbidden`` unless the user has ``role`` and the credential ``scope``."""
        if not self.role.includes(role):
            raise Forbidden(f"This needs the role {role}; yours is {self.role}.", needed_role=role)
        if scope not in self.scopes:
            raise Forbidden(f"This needs a token with the scope {scope}.", needed_scope=scope)

    def require_in(self, project_id: UUID, role: Role) -> None:
        """Raise ``Forbidden`` unless the user has ``role`` in a project that they can see."""
        mine = self.role_in(project_id)
        if mine is None or not mine.includes(role):
            raise Forbidden(f"This needs the role {role} in the project.", needed_role=role)
