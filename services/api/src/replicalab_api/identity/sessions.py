"""Browser sessions: opaque cookies whose digests lie in the database."""

import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.accounts import SessionRow, UserRow
from replicalab.db.database import Database
from replicalab.db.schema import NOW
from replicalab.domain.account_resources import UserRead
from replicalab.domain.accounts import ALL_SCOPES, Principal
from replicalab.errors import Unauthenticated
from replicalab.refusals import LoginFailed
from replicalab_api.identity import audit
from replicalab_api.identity.callers import CALLER, principal_of, read_user
from replicalab_api.identity.limiter import LoginLimiter
from replicalab_api.identity.passwords import Passwords
from replicalab_api.identity.requests import Login
from replicalab_api.identity.token_text import Pepper

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
SEEN_STEP = timedelta(minutes=5)
"""A busy session writes so often that it lives, not at every request."""

_LIVING = (
    sa.select(SessionRow.seen_at, NOW.label("now"), *CALLER)
    .join(UserRow, UserRow.id == SessionRow.user_id)
    .where(
        SessionRow.cookie_hmac == sa.bindparam("digest"),
        SessionRow.expires_at > NOW,
        SessionRow.seen_at > NOW - IDLE,
        UserRow.disabled_at.is_(None),
    )
)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun; the cookie is known to its browser alone."""

    user: UserRead
    cookie: str = field(repr=False)
    csrf_token: str = field(repr=False)
    expires_at: datetime


class Sessions:
    """Logins by name and password, and the sessions they begin."""

    def __init__(
        self, database: Database, pepper: Pepper, passwords: Passwords, limiter: LoginLimiter
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._passwords = passwords
        self._limiter = limiter

    def login(self, login: Login, *, address: str, request_id: str) -> NewSession:
        """Begin a session.

        Unknown names, wrong passwords, users without one and disabled users get the same answer
        in the same time; the audit log tells them apart.

        Raises:
            TooManyRequests: There were too many attempts.
            LoginFailed: Name and password do not belong together.
        """
        self._limiter.count(login.name, address)
        with self._database.transaction() as session:
            user = session.scalars(
                sa.select(UserRow).where(UserRow.name == login.name)
            ).one_or_none()
        encoded = None if user is None else user.password_hash
        # Outside of a transaction: hashing is slow on purpose.
        is_right = self._passwords.is_right(login.password.get_secret_value(), encoded)
        if user is None or not is_right or user.disabled_at is not None:
            target = "user/unknown" if user is None else f"user/{user.id}"
            with self._database.transaction() as session:
                audit.record_failure(session, "session.login-failed", target, request_id)
            raise LoginFailed("Name and password do not belong together.")
        self._limiter.forget(login.name)
        with self._database.transaction() as session:
            return self.begin(session, user, action="session.login", request_id=request_id)

    def begin(self, session: Session, user: UserRow, *, action: str, request_id: str) -> NewSession:
        """Begin a session of a user who has proved who they are."""
        session.execute(sa.delete(SessionRow).where(SessionRow.expires_at < NOW))
        cookie = secrets.token_urlsafe(32)
        now = session.execute(sa.select(NOW)).scalar_one()
        session.add(
            SessionRow(cookie_hmac=self._digest(cookie), user_id=user.id, expires_at=now + LONGEST)
        )
        row = session.execute(sa.select(*CALLER).where(UserRow.id == user.id)).one()
        caller = principal_of(row, scopes=ALL_SCOPES, credential="session")
        audit.record(session, replace(caller, request_id=request_id), action, f"user/{user.id}")
        return NewSession(read_user(user), cookie, self.csrf_token(cookie), now + LONGEST)

    def principal_of(self, cookie: str) -> Principal:
        """The caller whose browser shows ``cookie``; raises ``Unauthenticated``."""
        digest = self._digest(cookie)
        with self._database.reading() as connection:
            row = connection.execute(_LIVING, {"digest": digest}).one_or_none()
        if row is None:
            raise Unauthenticated("The session has ended.")
        if row.seen_at < row.now - SEEN_STEP:
            with self._database.transaction() as session:
                session.execute(
                    sa.update(SessionRow)
                    .where(SessionRow.cookie_hmac == digest)
                    .values(seen_at=row.now)
                )
        return principal_of(row, scopes=ALL_SCOPES, credential="session")

    def logout(self, caller: Principal, cookie: str) -> None:
        """End a session."""
        with self._database.transaction() as session:
            digest = self._digest(cookie)
            session.execute(sa.delete(SessionRow).where(SessionRow.cookie_hmac == digest))
            audit.record(session, caller, "session.logout", f"user/{caller.user_id}")

    def csrf_token(self, cookie: str) -> str:
        """What pages of this site send along, and other sites cannot know."""
        return self._pepper.digest("csrf", cookie).hex()

    def is_csrf_token(self, cookie: str, token: str) -> bool:
        """Whether ``token`` belongs to the session of ``cookie``."""
        return hmac.compare_digest(self.csrf_token(cookie).encode(), token.encode())

    def _digest(self, cookie: str) -> bytes:
        return self._pepper.digest("session", cookie)
