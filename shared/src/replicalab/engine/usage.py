"""What users have used: charged when an attempt ends, refunded where the installation failed."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Session

from replicalab.db.models import NOW, TaskRow, UsageRow
from replicalab.db.tables import USAGE
from replicalab.domain.resources import UsageRead
from replicalab.engine.failures import FailureClass
from replicalab.engine.fairness import HALF_LIFE_SECONDS
from replicalab.errors import QuotaExceeded
from replicalab.refusals import TooManyTasks

MOST_OPEN_TASKS = 20_000
"""Of a user: twenty studies of the paper's size; a script that has lost its mind ends there."""

REFUNDED = frozenset({FailureClass.LOST, FailureClass.DEPENDENCY, FailureClass.RESOURCE})
"""Failures of the installation, not of the work: the user does not pay for them."""


def charging(attempts: sa.FromClause) -> Insert:
    """What charges ``attempts``, with their ``seconds``, to the ``owner`` of each."""
    used = sa.select(attempts.c.owner, attempts.c.seconds, attempts.c.seconds)
    new = insert(USAGE).from_select(["owner", "total_seconds", "decayed_seconds"], used)
    return new.on_conflict_do_update(
        index_elements=[USAGE.c.owner],
        set_={
            "total_seconds": USAGE.c.total_seconds + new.excluded.total_seconds,
            "decayed_seconds": remaining_seconds() + new.excluded.decayed_seconds,
            "counted_at": NOW,
        },
    )


def remaining_seconds() -> sa.ColumnElement[float]:
    """Decayed use as of now."""
    age = sa.extract("epoch", NOW - USAGE.c.counted_at)
    return USAGE.c.decayed_seconds * sa.func.power(2.0, -age / HALF_LIFE_SECONDS)


def check_quota(session: Session, owner: str) -> None:
    """Raise ``QuotaExceeded`` when ``owner`` has used up their compute."""
    row = session.get(UsageRow, owner)
    if row is None or row.quota_seconds is None or row.total_seconds < row.quota_seconds:
        return
    raise QuotaExceeded(
        f"{row.total_seconds:.0f} of {row.quota_seconds:.0f} seconds of compute are used; "
        "ask an administrator for more.",
        used_seconds=row.total_seconds,
        quota_seconds=row.quota_seconds,
    )


def check_open_tasks(session: Session, owner: str, more: int, most: int) -> None:
    """Raise ``TooManyTasks`` when ``owner`` would have above ``most`` unfinished tasks.

    Args:
        session: Of the submission, which takes turns with others.
        owner: Who submits.
        more: How many tasks they would add.
        most: How many anybody may have.
    """
    unfinished = sa.select(TaskRow.id).where(TaskRow.owner == owner, TaskRow.ended_at.is_(None))
    count = session.scalar(sa.select(sa.func.count()).select_from(unfinished.subquery())) or 0
    if count + more > most:
        raise TooManyTasks(
            f"{count:,} of your tasks are unfinished and this would add {more:,}; at most "
            f"{most:,} may be.",
            unfinished=count,
            most=most,
        )


def set_quota(session: Session, owner: str, seconds: float | None) -> None:
    """Allow ``owner`` so many seconds of compute in all; None lifts the limit."""
    session.execute(
        insert(UsageRow)
        .values(owner=owner, quota_seconds=seconds, total_seconds=0.0, decayed_seconds=0.0)
        .on_conflict_do_update(index_elements=["owner"], set_={"quota_seconds": seconds})
    )


def usage_of_everyone(session: Session) -> Sequence[UsageRead]:
    """Use and quota of every user who has any, heaviest first."""
    recent = remaining_seconds()
    rows = session.execute(sa.select(UsageRow, recent).order_by(recent.desc())).all()
    return [
        UsageRead(
            owner=row.owner,
            total_seconds=row.total_seconds,
            recent_seconds=float(seconds),
            quota_seconds=row.quota_seconds,
        )
        for row, seconds in rows
    ]
