"""Personal tokens: made, shown once, rotated, revoked; looked up at every request."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.db.accounts import TokenRow, UserRow
from replicalab.db.database import Database
from replicalab.db.schema import NOW
from replicalab.domain.account_resources import NewTokenRead, TokenRead
from replicalab.domain.accounts import Principal, Scope
from replicalab.errors import Unauthenticated
from replicalab.refusals import (
    Forbidden,
    TokenExpired,
    TokenNotFound,
    TooManyTokens,
    UserNotFound,
)
from replicalab_api.identity import audit
from replicalab_api.identity.callers import CALLER, principal_of
from replicalab_api.identity.requests import NewToken
from replicalab_api.identity.token_text import Pepper, TokenText, prefix_of

GRACE = timedelta(hours=24)
"""So long the secret before a rotation still works, unless it is ended at once."""
MAX_LIVING = 50
LIFE_AFTER_ROTATION = timedelta(days=90)

_BEARER = (
    sa.select(
        TokenRow.id,
        TokenRow.secret_hmac,
        TokenRow.previous_hmac,
        TokenRow.previous_until,
        TokenRow.scopes,
        TokenRow.expires_at,
        TokenRow.revoked_at,
        TokenRow.last_used_at,
        UserRow.disabled_at,
        NOW.label("now"),
        *CALLER,
    )
    .join(UserRow, UserRow.id == TokenRow.user_id)
    .where(TokenRow.public_id == sa.bindparam("public_id"))
)


def _now(session: Session) -> datetime:
    return session.execute(sa.select(NOW)).scalar_one()


def _read(row: TokenRow) -> TokenRead:
    return TokenRead(prefix=prefix_of(row.public_id), **_facts(row))


def _facts(row: TokenRow) -> dict[str, object]:
    names = TokenRead.model_fields.keys() - {"prefix"}
    return {name: getattr(row, name) for name in names}


class Tokens:
    """The tokens of the lab's users. Nothing is cached: what is revoked is so at once."""

    def __init__(self, database: Database, pepper: Pepper) -> None:
        self._database = database
        self._pepper = pepper

    def create(self, caller: Principal, new: NewToken) -> NewTokenRead:
        """A token; its secret is in the answer and nowhere else.

        Raises:
            Forbidden: It would allow more than the caller's credential, or be somebody else's.
            UserNotFound: No such user.
            TooManyTokens: The user has many already.
        """
        user_id = new.user_id or caller.user_id
        if user_id != caller.user_id and not (caller.is_admin and Scope.ADMIN in caller.scopes):
            raise Forbidden("Only administrators make tokens for others.")
        if beyond := sorted(set(new.scopes) - caller.scopes):
            raise Forbidden(f"Your credential has no scope {', '.join(beyond)}.")
        text = TokenText.new()
        with self._database.transaction() as session:
            if session.get(UserRow, user_id, with_for_update=True) is None:
                raise UserNotFound("No user has this id.")
            now = _now(session)
            self._check_number(session, user_id, now)
            row = TokenRow(
                id=uuid7(),
                public_id=text.public_id,
                user_id=user_id,
                name=new.name,
                secret_hmac=self._digest(text),
                scopes=sorted(set(new.scopes)),
                created_at=now,
                expires_at=now + timedelta(days=new.days),
            )
            session.add(row)
            session.flush()
            audit.record(session, caller, "token.create", f"token/{row.id}", after=_read(row))
            return _with_secret(row, text)

    def list(self, caller: Principal) -> Sequence[TokenRead]:
        """The caller's tokens, newest first, revoked and expired ones included."""
        query = sa.select(TokenRow).where(TokenRow.user_id == caller.user_id)
        with self._database.transaction() as session:
            rows = session.scalars(query.order_by(TokenRow.id.desc()).limit(200))
            return [_read(row) for row in rows]

    def revoke(self, caller: Principal, token_id: UUID) -> TokenRead:
        """End a token now; administrators may end anybody's. Raises ``TokenNotFound``."""
        with self._database.transaction() as session:
            row = session.get(TokenRow, token_id, with_for_update=True)
            is_theirs = row is not None and row.user_id == caller.user_id
            if row is None or not (is_theirs or caller.is_admin):
                raise TokenNotFound("You have no token with this id.")
            before = _read(row)
            row.revoked_at = row.revoked_at or _now(session)
            after = _read(row)
            audit.record(
                session, caller, "token.revoke", f"token/{token_id}", before=before, after=after
            )
            return after

    def rotate(self, caller: Principal, token_id: UUID, *, is_immediate: bool) -> NewTokenRead:
        """Give a token a new secret and 90 more days; the old secret works for 24 hours more.

        Args:
            caller: Whose token it is.
            token_id: Which.
            is_immediate: End the old secret now.

        Raises:
            TokenNotFound: The caller has no such token that is not revoked.
            Forbidden: The token may do more than the caller's credential.
        """
        with self._database.transaction() as session:
            row = session.get(TokenRow, token_id, with_for_update=True)
            if row is None or row.user_id != caller.user_id or row.revoked_at is not None:
                raise TokenNotFound("You have no token with this id.")
            if not set(row.scopes) <= caller.scopes:
                raise Forbidden("The token may do more than your credential.")
            before, now, text = _read(row), _now(session), TokenText.new(row.public_id)
            row.previous_hmac = None if is_immediate else row.secret_hmac
            row.previous_until = None if is_immediate else min(now + GRACE, row.expires_at)
            row.secret_hmac = self._digest(text)
            row.rotated_at = now
            row.expires_at = max(row.expires_at, now + LIFE_AFTER_ROTATION)
            audit.record(
                session,
                caller,
                "token.rotate",
                f"token/{token_id}",
                before=before,
                after=_read(row),
            )
            return _with_secret(row, text)

    def principal_of(self, text: str) -> Principal:
        """The caller who shows the token ``text``.

        Raises:
            TokenExpired: It was right once.
            Unauthenticated: It is none, or revoked, or its user is disabled.
        """
        token = TokenText.parse(text)
        if token is None:
            raise Unauthenticated("The token is not valid.")
        digest = self._digest(token)
        with self._database.reading() as connection:
            row = connection.execute(_BEARER, {"public_id": token.public_id}).one_or_none()
        if row is None:
            raise Unauthenticated("The token is not valid.")
        is_present = hmac.compare_digest(row.secret_hmac, digest)
        is_previous = hmac.compare_digest(row.previous_hmac or b"", digest)
        is_in_use = row.revoked_at is None and row.disabled_at is None
        if not (is_present or is_previous) or not is_in_use:
            raise Unauthenticated("The token is not valid.")
        ends_at = row.expires_at if is_present else row.previous_until
        if ends_at is None or ends_at <= row.now:
            raise TokenExpired("The token has expired.")
        self._note_use(row)
        scopes = frozenset(Scope(scope) for scope in row.scopes)
        return principal_of(row, scopes=scopes, credential=f"token:{token.public_id}")

    def _note_use(self, row: sa.Row[*tuple[Any, ...]]) -> None:
        """To the hour: a busy token must not write at every request, nor tell when it is used."""
        hour = row.now.replace(minute=0, second=0, microsecond=0)
        if row.last_used_at is None or row.last_used_at < hour:
            with self._database.transaction() as session:
                session.execute(
                    sa.update(TokenRow).where(TokenRow.id == row.id).values(last_used_at=hour)
                )

    def _digest(self, text: TokenText) -> bytes:
        return self._pepper.digest("token", f"{text.public_id}_{text.secret}")

    def _check_number(self, session: Session, user_id: UUID, now: datetime) -> None:
        living = sa.and_(
            TokenRow.user_id == user_id, TokenRow.revoked_at.is_(None), TokenRow.expires_at > now
        )
        number = session.execute(sa.select(sa.func.count()).where(living)).scalar_one()
        if number >= MAX_LIVING:
            raise TooManyTokens(f"There are {number} living tokens.")


def _with_secret(row: TokenRow, text: TokenText) -> NewTokenRead:
    return NewTokenRead(prefix=text.prefix, token=text.write(), **_facts(row))
