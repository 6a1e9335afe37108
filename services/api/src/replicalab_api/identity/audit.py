"""The audit log: written in the transaction of what it tells, never changed."""

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.orm import Session

from replicalab.db.accounts import AuditRow
from replicalab.db.database import Database
from replicalab.db.schema import NOW
from replicalab.domain.account_resources import AuditPage, AuditRead
from replicalab.domain.accounts import Principal
from replicalab.planning.keys import digest_of

NOBODY = "nobody"
"""Who acts before anybody is known. A name that was typed is not told: it may be a password."""
QUIET_HOURS = 1
"""Reading the same thing again within it is not told again."""


def record(
    session: Session,
    caller: Principal,
    action: str,
    target: str,
    *,
    before: BaseModel | None = None,
    after: BaseModel | None = None,
) -> None:
    """Write that ``caller`` did ``action`` to ``target`` (``<kind>/<id>``).

    Of what was there and what is there now the digests are kept: they prove a state to whoever has
    it, and reveal none.
    """
    session.add(
        AuditRow(
            actor=caller.name,
            credential=caller.credential,
            action=action,
            object=target,
            before_sha256=before and digest_of(before),
            after_sha256=after and digest_of(after),
            request_id=caller.request_id,
        )
    )


def record_failure(session: Session, action: str, target: str, request_id: str) -> None:
    """Write that somebody who has not shown who they are failed to do ``action``."""
    session.add(
        AuditRow(
            actor=NOBODY, credential="none", action=action, object=target, request_id=request_id
        )
    )


def record_reading(session: Session, caller: Principal, target: str) -> None:
    """Write that an administrator looks at something private; once an hour is enough."""
    is_told = sa.exists().where(
        AuditRow.object == target,
        AuditRow.actor == caller.name,
        AuditRow.action == "read-private",
        AuditRow.at > NOW - sa.func.make_interval(0, 0, 0, 0, QUIET_HOURS),
    )
    if not session.scalar(sa.select(is_told)):
        record(session, caller, "read-private", target)


class AuditLog:
    """Reading the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, *, limit: int, before: int | None) -> AuditPage:
        """At most ``limit`` entries below the id ``before``, newest first."""
        query = sa.select(AuditRow).order_by(AuditRow.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(AuditRow.id < before)
        with self._database.transaction() as session:
            rows = session.scalars(query).all()
        items = [AuditRead.model_validate(row, from_attributes=True) for row in rows[:limit]]
        return AuditPage(items=items, next_before=items[-1].id if len(rows) > limit else None)
