"""From a user's row to what the gateway knows of a caller."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.accounts import MembershipRow, UserRow
from replicalab.domain.account_resources import UserRead
from replicalab.domain.accounts import Principal, Role, Scope


def projects_of(session: Session, user_id: UUID) -> dict[UUID, Role]:
    """The user's role in every project."""
    query = sa.select(MembershipRow.project_id, MembershipRow.role)
    rows = session.execute(query.where(MembershipRow.user_id == user_id))
    return {row.project_id: row.role for row in rows}


def principal_of_user(
    session: Session, user: UserRow, *, scopes: frozenset[Scope], credential: str
) -> Principal:
    """The caller that ``user`` is with a credential of these scopes."""
    return Principal(
        user_id=user.id,
        name=user.name,
        role=user.role,
        scopes=scopes,
        projects=projects_of(session, user.id),
        credential=credential,
    )


def read_user(row: UserRow) -> UserRead:
    """What may be shown of a user."""
    return UserRead(
        id=row.id,
        name=row.name,
        display_name=row.display_name,
        email=row.email,
        role=row.role,
        has_password=row.password_hash is not None,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
