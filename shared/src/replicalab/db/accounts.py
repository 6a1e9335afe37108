"""Tables of accounts. Only the gateway reads and writes them; workers know no users."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from replicalab.db.schema import NOW, Base
from replicalab.domain.accounts import Role


class UserRow(Base):
    """Somebody who may use the lab. Users are disabled, never deleted: their work stays theirs."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)
    display_name: Mapped[str]
    email: Mapped[str | None]
    role: Mapped[Role]
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]

    __table_args__ = (sa.CheckConstraint("name = lower(name)", name="name_is_folded"),)


class IdentityRow(Base):
    """Who a user is for an OpenID Connect provider."""

    __tablename__ = "identities"

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ProjectRow(Base):
    """Experiments that the same people may see."""

    __tablename__ = "projects"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class MembershipRow(Base):
    """A user's role in a project; the one in the lab limits it."""

    __tablename__ = "memberships"

    project_id: Mapped[UUID] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[Role]

    __table_args__ = (sa.CheckConstraint("role <> 'admin'", name="no_admins"),)


class TokenRow(Base):
    """A personal token: its public id and HMACs of its present and its last secret."""

    __tablename__ = "tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(8), unique=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"), index=True)
    name: Mapped[str]
    secret_hmac: Mapped[bytes]
    previous_hmac: Mapped[bytes | None]
    previous_until: Mapped[datetime | None]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(sa.String))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    rotated_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint(
            "(previous_hmac IS NULL) = (previous_until IS NULL)", name="previous_ends"
        ),
    )


class SessionRow(Base):
    """A browser that is logged in, known by the HMAC of its cookie."""

    __tablename__ = "sessions"

    cookie_hmac: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class OidcLoginRow(Base):
    """A login that has been sent to the provider and has not come back yet."""

    __tablename__ = "oidc_logins"

    state_hmac: Mapped[bytes] = mapped_column(primary_key=True)
    secrets: Mapped[dict[str, str]] = mapped_column(JSONB)
    began_at: Mapped[datetime] = mapped_column(server_default=NOW, index=True)


class AuditRow(Base):
    """Who did what. A trigger refuses UPDATE, DELETE and TRUNCATE, to the tables' owner as well."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    credential: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    before_sha256: Mapped[str | None] = mapped_column(sa.String(64))
    after_sha256: Mapped[str | None] = mapped_column(sa.String(64))
    request_id: Mapped[str]

    __table_args__ = (sa.Index(None, "object", "id"),)
