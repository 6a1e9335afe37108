"""Users: administrators make, change and disable them; nothing deletes them."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.db.accounts import MembershipRow, SessionRow, UserRow
from replicalab.db.database import Database
from replicalab.db.schema import NOW
from replicalab.domain.account_resources import UserRead
from replicalab.domain.accounts import DEFAULT_PROJECT_ID, LAB_USER_ID, Principal, Role
from replicalab.domain.resources import UsageRead
from replicalab.engine.usage import set_quota, usage_of_everyone
from replicalab.refusals import LastAdministrator, LoginFailed, NameTaken, UserNotFound
from replicalab_api.identity import audit
from replicalab_api.identity.callers import read_user
from replicalab_api.identity.limiter import LoginLimiter
from replicalab_api.identity.passwords import Passwords, check_strength
from replicalab_api.identity.requests import NewUser, PasswordChange, Quota, UserChange

_USERS_LOCK = 7_423_011


def lock_users(session: Session) -> None:
    """Changes of users take turns: two cannot take one name, nor two administrators resign."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(_USERS_LOCK)))


def add_user(session: Session, new: NewUser, password_hash: str | None) -> UserRow:
    """Insert a user, a member of the default project; raises ``NameTaken``."""
    if session.scalar(sa.select(UserRow.id).where(UserRow.name == new.name)) is not None:
        raise NameTaken(f"There is a user {new.name} already.")
    row = UserRow(
        id=uuid7(),
        name=new.name,
        display_name=new.display_name or new.name,
        email=new.email,
        role=new.role,
        password_hash=password_hash,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    role = min(new.role, Role.RESEARCHER, key=lambda one: one.rank)
    session.add(MembershipRow(project_id=DEFAULT_PROJECT_ID, user_id=row.id, role=role))
    return row


class Users:
    """The users of the lab."""

    def __init__(self, database: Database, passwords: Passwords, limiter: LoginLimiter) -> None:
        self._database = database
        self._passwords = passwords
        self._limiter = limiter

    def list(self) -> Sequence[UserRead]:
        """Everybody, by name."""
        with self._database.transaction() as session:
            return [
                read_user(row) for row in session.scalars(sa.select(UserRow).order_by(UserRow.name))
            ]

    def get(self, user_id: UUID) -> UserRead:
        """A user, or ``UserNotFound``."""
        with self._database.transaction() as session:
            return read_user(_row(session, user_id))

    def create(self, caller: Principal, new: NewUser) -> UserRead:
        """Add a user; raises ``NameTaken`` and ``WeakPassword``."""
        password_hash = self._hash(new.password, new.name)
        with self._database.transaction() as session:
            lock_users(session)
            after = read_user(add_user(session, new, password_hash))
            audit.record(session, caller, "user.create", f"user/{after.id}", after=after)
            return after

    def change(self, caller: Principal, user_id: UUID, change: UserChange) -> UserRead:
        """Change a user.

        Who is disabled, or gets a new password, is logged out everywhere.

        Raises:
            UserNotFound: No such user.
            LastAdministrator: Nobody else could administer the lab.
            WeakPassword: The new password is too weak.
        """
        with self._database.transaction() as session:
            lock_users(session)
            had_administrator = _has_administrator(session)
            row = _row(session, user_id)
            before = read_user(row)
            self._apply(session, row, change)
            session.flush()
            if had_administrator and not _has_administrator(session):
                raise LastAdministrator("Nobody else could administer the lab.")
            after = read_user(row)
            action = "user.set-password" if change.password is not None else "user.change"
            audit.record(session, caller, action, f"user/{user_id}", before=before, after=after)
            return after

    def _apply(self, session: Session, row: UserRow, change: UserChange) -> None:
        wanted = change.model_dump(exclude_none=True, include={"display_name", "email", "role"})
        for name, value in wanted.items():
            setattr(row, name, value)
        if change.is_disabled is not None:
            now = session.execute(sa.select(NOW)).scalar_one()
            row.disabled_at = (row.disabled_at or now) if change.is_disabled else None
        if change.password is not None:
            row.password_hash = self._hash(change.password, row.name)
        if change.is_disabled or change.password is not None:
            session.execute(sa.delete(SessionRow).where(SessionRow.user_id == row.id))

    def change_password(self, caller: Principal, change: PasswordChange) -> None:
        """Change the caller's own password; logs them out everywhere.

        Raises:
            TooManyRequests: There were too many attempts.
            LoginFailed: The present password is another one.
            WeakPassword: The new one is too weak.
        """
        self._limiter.count(caller.name)
        password_hash = self._hash(change.new, caller.name)
        with self._database.transaction() as session:
            encoded = _row(session, caller.user_id).password_hash
        if not self._passwords.is_right(change.old.get_secret_value(), encoded):
            with self._database.transaction() as session:
                action = "user.change-password-failed"
                audit.record(session, caller, action, f"user/{caller.user_id}")
            raise LoginFailed("The present password is another one.")
        self._limiter.forget(caller.name)
        with self._database.transaction() as session:
            row = _row(session, caller.user_id)
            row.password_hash = password_hash
            session.execute(sa.delete(SessionRow).where(SessionRow.user_id == row.id))
            audit.record(session, caller, "user.change-password", f"user/{row.id}")

    def usage(self, caller: Principal) -> Sequence[UsageRead]:
        """Compute used: the caller's own, everybody's for maintainers; heaviest first."""
        with self._database.transaction() as session:
            rows = usage_of_everyone(session)
        sees_all = caller.role.includes(Role.MAINTAINER)
        return [row for row in rows if sees_all or row.owner == caller.name]

    def set_quota(self, caller: Principal, user_id: UUID, quota: Quota) -> UsageRead:
        """Allow a user so much compute; raises ``UserNotFound``."""
        with self._database.transaction() as session:
            name = _row(session, user_id).name
            set_quota(session, name, quota.seconds)
            audit.record(session, caller, "quota.set", f"user/{user_id}", after=quota)
            return next(row for row in usage_of_everyone(session) if row.owner == name)

    def _hash(self, password: SecretStr | None, user_name: str) -> str | None:
        if password is None:
            return None
        check_strength(password.get_secret_value(), user_name)
        return self._passwords.hash(password.get_secret_value())


def _row(session: Session, user_id: UUID) -> UserRow:
    row = session.get(UserRow, user_id, with_for_update=True)
    if row is None:
        raise UserNotFound("No user has this id.")
    return row


def _has_administrator(session: Session) -> bool:
    """The bootstrap user does not count: its token may be taken out of the configuration."""
    is_one = sa.and_(
        UserRow.role == Role.ADMIN, UserRow.disabled_at.is_(None), UserRow.id != LAB_USER_ID
    )
    return bool(session.scalar(sa.select(sa.exists().where(is_one))))
