"""What a worker can make: only it may claim a task whose program makes the task identically.

A task's key holds the version of its kind, so another version's output under it would be a lie
that every later cache hit repeats. What a worker cannot make stays queued, for one that can.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from replicalab.db.models import InstallationRow
from replicalab.db.tables import TASKS, constant
from replicalab.domain.tasks import TaskKind

PROTOCOL = 1
"""The rules of claims, beats and completions that this program follows.

A migration that changes them raises ``installation.least_protocol``, which ends the service of
every worker that follows older ones.
"""

KindVersions = Mapping[TaskKind, int]
"""The version of every kind that a program knows."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who takes tasks: a worker process, and the versions of kinds that its program makes."""

    worker: str
    kinds: frozenset[tuple[TaskKind, int]]


@cache
def is_made_by(claimant: Claimant) -> sa.ColumnElement[bool]:
    """Whether the program makes the task as its key says, and may make any.

    A task that an older gateway has just written has no version yet, and waits for the scheduler.
    """
    made = [
        sa.tuple_(constant(kind), sa.literal_column(str(version)))
        for kind, version in sorted(claimant.kinds)
    ]
    pair = sa.tuple_(TASKS.c.kind, TASKS.c.kind_version)
    return sa.and_(pair.in_(made), is_followed(PROTOCOL))


def is_followed(protocol: int) -> sa.ColumnElement[bool]:
    """Whether workers that follow ``protocol`` may take tasks."""
    return sa.exists().where(InstallationRow.least_protocol <= protocol)
