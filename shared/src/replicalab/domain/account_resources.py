"""What the service shows of accounts: users, projects, tokens, the audit log."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from replicalab.domain.accounts import Role, Scope
from replicalab.domain.resources import Resource


class UserRead(Resource):
    """Somebody who may use the lab."""

    id: UUID
    name: str = Field(description="Unique; owns experiments under it.")
    display_name: str
    email: str | None
    role: Role
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None = Field(description="Since when nothing of theirs is let in.")


class ProjectRead(Resource):
    """Experiments that the same people may see."""

    id: UUID
    name: str
    role: Role | None = Field(description="Yours; null: an administrator who is no member.")
    created_at: datetime


class MemberRead(Resource):
    """A user's role in a project."""

    user_id: UUID
    name: str
    display_name: str
    role: Role


class TokenRead(Resource):
    """A token without its secret, which nobody can show again."""

    id: UUID
    prefix: str = Field(description="How the token begins.", examples=["rlp_8Kd02mQx"])
    name: str
    user_id: UUID
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the hour.")


class NewTokenRead(TokenRead):
    """A token with its secret, shown this once."""

    token: str = Field(description="Store it now; it is not shown again.")


class MeRead(Resource):
    """The caller, as the service sees them."""

    user: UserRead
    scopes: list[Scope]
    credential: str = Field(examples=["token:8Kd02mQx", "session", "bootstrap"])
    projects: list[ProjectRead]
    csrf_token: str | None = Field(
        description="Sessions send it as X-CSRF-Token with whatever changes something."
    )


class SessionRead(Resource):
    """A browser session that has just begun; its cookie is in ``Set-Cookie``."""

    user: UserRead
    csrf_token: str
    expires_at: datetime


class AuditRead(Resource):
    """Something that somebody did."""

    id: int
    at: datetime
    actor: str
    credential: str
    action: str = Field(examples=["token.revoke"])
    object: str = Field(examples=["token/0190f3c2-7a1e-7c4e-8f5e-2d4b6a1c9e10"])
    before_sha256: str | None
    after_sha256: str | None
    request_id: str


class AuditPage(Resource):
    """One page of the audit log, newest first."""

    items: list[AuditRead]
    next_before: int | None = Field(description="Pass as ``before`` for the next page.")
