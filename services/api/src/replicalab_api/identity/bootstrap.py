"""The bootstrap token: the first administrator, for as long as it is configured."""

import hashlib
import hmac

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from replicalab.db.accounts import MembershipRow, ProjectRow, UserRow
from replicalab.domain.accounts import (
    ALL_SCOPES,
    DEFAULT_PROJECT_ID,
    LAB_USER_ID,
    LAB_USER_NAME,
    Principal,
    Role,
)
from replicalab.errors import Unauthenticated

MIN_TOKEN_CHARACTERS = 16

BOOTSTRAP = Principal(
    user_id=LAB_USER_ID,
    name=LAB_USER_NAME,
    role=Role.ADMIN,
    scopes=ALL_SCOPES,
    projects={DEFAULT_PROJECT_ID: Role.MAINTAINER},
    credential="bootstrap",
)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class BootstrapToken:
    """Lets one token in, without asking the database.

    Args:
        token: The secret, at least 16 characters.
    """

    def __init__(self, token: str) -> None:
        if len(token) < MIN_TOKEN_CHARACTERS:
            raise ValueError(f"the token must have at least {MIN_TOKEN_CHARACTERS} characters")
        self._digest = _digest(token)

    def is_right(self, token: str) -> bool:
        """Whether ``token`` is the one."""
        # Digests have one length, so that the comparison tells nothing about the token's.
        return hmac.compare_digest(_digest(token), self._digest)

    def by_token(self, token: str) -> Principal:
        """The first administrator; raises ``Unauthenticated``."""
        if not self.is_right(token):
            raise Unauthenticated("The token is not valid.")
        return BOOTSTRAP

    def by_cookie(self, _cookie: str) -> Principal:
        """Nobody: sessions need accounts."""
        raise Unauthenticated("There are no sessions here.")

    def is_csrf_token(self, _cookie: str, _token: str) -> bool:
        """Never: there are no sessions here."""
        return False


def ensure_foundation(session: Session) -> None:
    """Make the project and the user that everything else stands on, where they are missing."""
    rows: list[tuple[type[ProjectRow | UserRow | MembershipRow], dict[str, object]]] = [
        (ProjectRow, {"id": DEFAULT_PROJECT_ID, "name": "default"}),
        (
            UserRow,
            {
                "id": LAB_USER_ID,
                "name": LAB_USER_NAME,
                "display_name": "Bootstrap token",
                "role": Role.ADMIN,
            },
        ),
        (
            MembershipRow,
            {
                "project_id": DEFAULT_PROJECT_ID,
                "user_id": LAB_USER_ID,
                "role": Role.MAINTAINER,
            },
        ),
    ]
    for table, values in rows:
        session.execute(insert(table).values(**values).on_conflict_do_nothing())
