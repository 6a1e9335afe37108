"""From a provider's word to a session of a user of the lab."""

import hmac
import re
import secrets
from datetime import timedelta

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.orm import Session

from replicalab.db.accounts import IdentityRow, OidcLoginRow, UserRow
from replicalab.db.database import Database
from replicalab.db.schema import NOW
from replicalab.domain.accounts import Role
from replicalab.refusals import LoginFailed
from replicalab_api.identity import audit
from replicalab_api.identity.oidc import Identity, PendingLogin, Provider
from replicalab_api.identity.requests import NewUser
from replicalab_api.identity.sessions import NewSession, Sessions
from replicalab_api.identity.token_text import Pepper
from replicalab_api.identity.users import add_user, lock_users

MOST_MINUTES = 10
FAILED = "session.login-oidc-failed"
NAME_CHARACTERS = 40


class ProviderLogins:
    """Logins at a provider.

    Whoever the provider vouches for the first time becomes a new user. An existing user is never
    taken over for having the same name or address.

    Args:
        provider: Who vouches.
        database: Where logins wait for browsers to come back.
        pepper: Keys the digests of their states.
        sessions: What they end in.
        role: Of new users.
    """

    def __init__(
        self, provider: Provider, database: Database, pepper: Pepper, sessions: Sessions, role: Role
    ) -> None:
        self._provider = provider
        self._database = database
        self._pepper = pepper
        self._sessions = sessions
        self._role = role

    def begin(self, then: str) -> tuple[str, str]:
        """The address to send a browser to, and the state that its cookie must hold.

        Args:
            then: Path of this site where the login ends.
        """
        login = PendingLogin.new()
        url = self._provider.authorisation_url(login)
        kept = {"nonce": login.nonce, "verifier": login.verifier, "then": then}
        with self._database.transaction() as session:
            oldest = NOW - timedelta(minutes=MOST_MINUTES)
            session.execute(sa.delete(OidcLoginRow).where(OidcLoginRow.began_at < oldest))
            session.add(OidcLoginRow(state_hmac=self._digest(login.state), secrets=kept))
        return url, login.state

    def finish(
        self, *, state: str, cookie: str | None, code: str | None, request_id: str
    ) -> tuple[NewSession, str]:
        """Begin the session of whoever comes back with ``code``; a state works once.

        Returns:
            The session, and the path where the login ends.

        Raises:
            LoginFailed: The login was not begun by this browser, or cannot be trusted.
            ProviderUnavailable: The provider does not answer.
        """
        if code is None:
            raise LoginFailed("The login provider refused.")
        if cookie is None or not hmac.compare_digest(cookie.encode(), state.encode()):
            raise LoginFailed("This browser has not begun the login.")
        with self._database.transaction() as session:
            kept = session.scalars(
                sa.delete(OidcLoginRow)
                .where(
                    OidcLoginRow.state_hmac == self._digest(state),
                    OidcLoginRow.began_at > NOW - timedelta(minutes=MOST_MINUTES),
                )
                .returning(OidcLoginRow.secrets)
            ).one_or_none()
        if kept is None:
            raise LoginFailed("The login has taken too long, or was finished before.")
        # A login that an older gateway has begun knows no path.
        then = kept.pop("then", "/")
        try:
            return self._begin_session(PendingLogin(state, **kept), code, request_id), then
        except LoginFailed:
            # Only of logins that were begun here: anybody may send any state.
            with self._database.transaction() as session:
                audit.record_failure(session, FAILED, "user/unknown", request_id)
            raise

    def _begin_session(self, login: PendingLogin, code: str, request_id: str) -> NewSession:
        identity = self._provider.identity(login, code)
        with self._database.transaction() as session:
            user = self._user_of(session, identity)
            if user.disabled_at is not None:
                raise LoginFailed("The account is disabled.")
            return self._sessions.begin(
                session, user, action="session.login-oidc", request_id=request_id
            )

    def _user_of(self, session: Session, identity: Identity) -> UserRow:
        lock_users(session)
        known = session.get(IdentityRow, (identity.issuer, identity.subject))
        if known is not None:
            return session.get_one(UserRow, known.user_id)
        user = add_user(session, self._new_user(session, identity), None)
        session.add(IdentityRow(issuer=identity.issuer, subject=identity.subject, user_id=user.id))
        return user

    def _new_user(self, session: Session, identity: Identity) -> NewUser:
        """A user whose name is like the provider's, and nobody else's."""
        plain = re.sub(r"[^a-z0-9._-]+", "-", identity.name.lower()).strip("._-")
        name = plain[:NAME_CHARACTERS] or "user"
        if session.scalar(sa.select(sa.exists().where(UserRow.name == name))):
            name = f"{name}-{secrets.token_hex(4)}"
        new = NewUser(name=name, role=self._role)
        changes = {
            field: value
            for field, value in (
                ("display_name", identity.display_name),
                ("email", identity.email),
            )
            if _is_valid(field, value)
        }
        return new.model_copy(update=changes)

    def _digest(self, state: str) -> bytes:
        return self._pepper.digest("oidc-state", state)


def _is_valid(field: str, value: str | None) -> bool:
    """Whether a provider's word for a field is one that people could have given."""
    try:
        NewUser.model_validate({"name": "somebody", field: value})
    except ValidationError:
        return False
    return value is not None
