"""From a user's row to what the gateway knows of a caller."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from replicalab.db.accounts import MembershipRow, UserRow
from replicalab.domain.account_resources import UserRead
from replicalab.domain.accounts import Principal, Role, Scope

CALLER = (
    UserRow.id.label("user_id"),
    UserRow.name.label("user_name"),
    UserRow.role.label("user_role"),
    sa.select(sa.func.json_object_agg(MembershipRow.project_id, MembershipRow.role, type_=sa.JSON))
    .where(MembershipRow.user_id == UserRow.id)
    .correlate(UserRow)
    .scalar_subquery()
    .label("projects"),
)
"""What ``principal_of`` must know: columns of a statement on users, for it is asked at every
request and one statement is one round trip."""


def principal_of(
    row: sa.Row[*tuple[Any, ...]], *, scopes: frozenset[Scope], credential: str
) -> Principal:
    """The caller that a user is with a credential of these scopes.

    Args:
        row: With the columns ``CALLER``.
        scopes: Of the credential.
        credential: What was shown.
    """
    projects: dict[str, str] = row.projects or {}
    return Principal(
        user_id=row.user_id,
        name=row.user_name,
        role=row.user_role,
        scopes=scopes,
        projects={UUID(project): Role(role) for project, role in projects.items()},
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
