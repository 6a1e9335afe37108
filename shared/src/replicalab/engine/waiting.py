"""Taking waiting tasks in fair order, at a cost that does not grow with their number.

A partial index holds exactly the tasks that wait without a doorbell, ordered by queue, class, owner
and age. Its distinct (class, owner) pairs are found by skipping through it, so a release reads a
few index entries per owner, whether ten tasks wait or a million.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice

import sqlalchemy as sa

from replicalab.db.database import Asks
from replicalab.db.models import TaskRow, UsageRow
from replicalab.db.tables import TASKS, as_range, constant, not_among
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine.fairness import Lane, fair_turns
from replicalab.engine.usage import remaining_seconds
from replicalab.engine.versions import Claimant, is_made_by
from replicalab.engine.workers import may_run_elsewhere

MAY_BE_TAKEN = sa.and_(TASKS.c.state == constant(TaskState.QUEUED), ~TASKS.c.held)
"""Tasks that wait for a worker, in the words of the partial indexes.

PostgreSQL does not see that ``held IS false`` implies their condition.
"""

_ASSUMED_TASK_SECONDS = 10.0
_RECENT_TASKS = 40

_LANES = sa.text(
    """
    WITH RECURSIVE lanes AS (
        (SELECT priority, owner FROM tasks
         WHERE queue = :queue AND state = 'queued' AND dispatched_at IS NULL AND NOT held
         ORDER BY priority, owner LIMIT 1)
        UNION ALL
        SELECT following.priority, following.owner
        FROM lanes CROSS JOIN LATERAL (
            SELECT priority, owner FROM tasks
            WHERE queue = :queue AND state = 'queued' AND dispatched_at IS NULL AND NOT held
              AND (priority, owner) > (lanes.priority, lanes.owner)
            ORDER BY priority, owner LIMIT 1) AS following
    )
    SELECT priority, owner FROM lanes
    """
)


def take_fairly(
    session: Asks,
    queue: Queue,
    room: int,
    claimant: Claimant | None = None,
    left: Sequence[int] = (),
) -> list[int]:
    """Ids of up to ``room`` tasks that wait without a doorbell, locked, in the order to ring.

    Args:
        session: Whose transaction holds the locks, if it is one.
        queue: Which tasks.
        room: How many at most.
        claimant: What this one does not make, or had better leave to another, is passed over.
        left: Tasks that it leaves to others as well.
    """
    taken: list[int] = []
    empty: set[Lane] = set()
    while len(taken) < room:
        lanes = [lane for lane in _lanes(session, queue) if lane not in empty]
        if not lanes:
            break
        for lane, share in _shares(session, queue, lanes, room - len(taken)).items():
            ids = _oldest(session, queue, claimant, lane, share, [*taken, *left])
            taken.extend(ids)
            if len(ids) < share:
                empty.add(lane)
    return taken


def _shares(session: Asks, queue: Queue, lanes: Sequence[Lane], room: int) -> Mapping[Lane, int]:
    """How many of ``room`` places go to every lane."""
    urgent = [lane for lane in lanes if lane.priority == lanes[0].priority]
    if len(urgent) == 1:  # nobody to be fair to
        return {urgent[0]: room}
    task_seconds = _task_seconds(session, queue)
    turns = fair_turns(lanes, usage_seconds(session, queue, task_seconds), task_seconds)
    return Counter(islice(turns, room))


def next_waiting(
    session: Asks, queue: Queue, claimant: Claimant, left: Sequence[int], *, is_at_work: bool
) -> int | None:
    """The task to run next for somebody who looks without a doorbell.

    Args:
        session: Of the look; the claim comes later, and may find that another was faster.
        queue: Which tasks.
        claimant: Who looks; what it does not make, or had better leave, is passed over.
        left: Tasks that it leaves to others as well.
        is_at_work: Tasks that were rung for come first, in the order of their doorbells; else
            last, since they may be on their way to another worker.
    """
    but = {"left": list(left)}
    if is_at_work and (next_one := session.scalar(_next_at_work(queue, claimant), but)) is not None:
        return next_one
    fair = take_fairly(session, queue, 1, claimant, left)
    if fair or is_at_work:
        return fair[0] if fair else None
    return session.scalar(_rung_for(queue, claimant), but)


@cache
def _next_at_work(queue: Queue, claimant: Claimant) -> sa.Select[int | None]:
    """The task that was rung for first, else the oldest one where there is nobody to be fair to.

    One question in place of three, for workers whose tasks are short.
    """
    oldest = (
        _queued(queue, claimant)
        .add_columns(TASKS.c.priority, TASKS.c.owner)
        .where(TASKS.c.dispatched_at.is_(None), not_among(TASKS.c.id, "left"))
        .order_by(TASKS.c.priority, TASKS.c.owner, TASKS.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .subquery("oldest")
    )
    other = TASKS.alias("other")
    has_rival = sa.exists().where(
        other.c.queue == queue,
        other.c.state == constant(TaskState.QUEUED),
        ~other.c.held,
        other.c.dispatched_at.is_(None),
        other.c.priority == oldest.c.priority,
        other.c.owner > oldest.c.owner,  # the oldest is the first owner's
    )
    lone = sa.select(oldest.c.id).where(~has_rival)
    rung_for = _rung_for(queue, claimant)
    return sa.select(sa.func.coalesce(rung_for.scalar_subquery(), lone.scalar_subquery()))


@cache
def _rung_for(queue: Queue, claimant: Claimant) -> sa.Select[int]:
    return (
        _queued(queue, claimant)
        .where(
            TASKS.c.dispatched_at.is_not(None),
            not_among(TASKS.c.id, "left"),
        )
        .order_by(TASKS.c.dispatched_at, TASKS.c.id)
        .limit(1)
    )


def _queued(queue: Queue, claimant: Claimant | None) -> sa.Select[int]:
    """Tasks that may run as soon as somebody takes them."""
    queued = sa.select(TASKS.c.id).where(TASKS.c.queue == queue, MAY_BE_TAKEN)
    if claimant is None:
        return queued
    return queued.where(is_made_by(claimant), ~may_run_elsewhere(claimant.worker))


def usage_seconds(session: Asks, queue: Queue, task_seconds: float) -> dict[str, float]:
    """Decayed compute of every owner, with the tasks that run or were rung for in ``queue``.

    Args:
        session: Of the look.
        queue: Which tasks.
        task_seconds: Expected compute of one of them.
    """
    usage: dict[str, float] = defaultdict(float)
    for owner, seconds in session.execute(sa.select(UsageRow.owner, remaining_seconds())).all():
        usage[owner] = float(seconds)
    under_way = session.execute(
        sa.select(TaskRow.owner, sa.func.count())
        .where(
            TaskRow.queue == queue,
            sa.or_(
                TaskRow.state == TaskState.RUNNING,
                sa.and_(TaskRow.state == TaskState.QUEUED, TaskRow.dispatched_at.is_not(None)),
            ),
        )
        .group_by(TaskRow.owner)
    ).all()
    for owner, count in under_way:
        usage[owner] += task_seconds * count
    return usage


def _lanes(session: Asks, queue: Queue) -> list[Lane]:
    rows = session.execute(_LANES, {"queue": queue.value}).all()
    return [Lane(row.priority, row.owner) for row in rows]


def _oldest(
    session: Asks,
    queue: Queue,
    claimant: Claimant | None,
    lane: Lane,
    number: int,
    taken: list[int],
) -> list[int]:
    of_lane = {"priority": lane.priority, "owner": lane.owner, "number": number, "taken": taken}
    return list(session.scalars(_oldest_of(queue, claimant), of_lane))


@cache
def _oldest_of(queue: Queue, claimant: Claimant | None) -> sa.Select[int]:
    lane = sa.tuple_(TASKS.c.priority, TASKS.c.owner)
    wanted = sa.tuple_(
        sa.bindparam("priority", type_=sa.Integer), sa.bindparam("owner", type_=sa.String)
    )
    return (
        _queued(queue, claimant)
        .where(
            TASKS.c.dispatched_at.is_(None),
            as_range(lane, wanted),
            not_among(TASKS.c.id, "taken"),
        )
        .order_by(TASKS.c.priority, TASKS.c.owner, TASKS.c.id)
        .limit(sa.bindparam("number", type_=sa.Integer))
        .with_for_update(skip_locked=True)
    )


def _task_seconds(session: Asks, queue: Queue) -> float:
    """Mean seconds of the latest tasks of the queue."""
    latest = (
        sa.select(TASKS.c.seconds)
        .where(
            as_range(TASKS.c.queue, sa.literal(queue, TASKS.c.queue.type)),
            TASKS.c.state == constant(TaskState.SUCCEEDED),
        )
        .order_by(TASKS.c.queue.desc(), TASKS.c.id.desc())
        .limit(_RECENT_TASKS)
        .subquery()
    )
    return session.scalar(sa.select(sa.func.avg(latest.c.seconds))) or _ASSUMED_TASK_SECONDS
