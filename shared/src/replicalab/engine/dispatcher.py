"""Ringing for queued tasks: PostgreSQL keeps the queue, the broker holds only a few doorbells."""

import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.db.models import NOW
from replicalab.db.tables import TASKS, among, constant
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine.doorbells import Doorbells
from replicalab.engine.waiting import MAY_BE_TAKEN, take_fairly

_MOST_DOUBLINGS = 3
_IS_RUNNING = TASKS.c.state == constant(TaskState.RUNNING)
_IS_RUNG_FOR = sa.and_(MAY_BE_TAKEN, TASKS.c.dispatched_at.is_not(None))
_UNDER_WAY = sa.select(
    sa.func.count().filter(_IS_RUNNING), sa.func.count().filter(_IS_RUNG_FOR)
).where(TASKS.c.queue == sa.bindparam("of_queue"), sa.or_(_IS_RUNNING, _IS_RUNG_FOR))
"""How many tasks run, and for how many a doorbell was rung that nobody has answered."""

_STAMP = (
    sa.update(TASKS)
    .where(among(TASKS.c.id, "ringing"))
    .values(dispatched_at=NOW, dispatches=TASKS.c.dispatches + 1)
)


class Dispatcher:
    """Keeps about as many doorbells in the broker as workers can answer soon.

    Two dispatchers may run at once: rows are taken with SKIP LOCKED, and a doorbell rung twice
    is refused by the claim.
    """

    def __init__(
        self, database: Database, doorbells: Doorbells, *, redispatch_seconds: float
    ) -> None:
        self._database = database
        self._doorbells = doorbells
        self._overdue = _overdue(redispatch_seconds)

    def dispatch(self) -> int:
        """Ring for waiting tasks in fair order; returns how many doorbells were sent.

        Raises:
            BrokerUnavailable: What was not rung stays unstamped and is tried again.
        """
        return sum(self._dispatch_queue(queue) for queue in Queue)

    def _dispatch_queue(self, queue: Queue) -> int:
        with self._database.transaction() as session:
            running, rung = session.execute(_UNDER_WAY, {"of_queue": queue}).one()
            overdue = list(session.scalars(self._overdue, {"of_queue": queue}))
            fresh = take_fairly(session, queue, max(_room(running) - rung, 0))
            if overdue or fresh:  # ticks that find nothing to ring for do not ask the broker
                # Doorbells that lie unanswered need no others beside them: the broker must not
                # fill up while no worker is there. Workers that go from task to task leave some
                # behind as well, which wake them later.
                unanswered = self._doorbells.waiting(queue)
                overdue = [] if unanswered >= rung else overdue
                fresh = fresh[: max(_room(running) - unanswered, 0)]
            ringing = [*overdue, *fresh]
            for task_id in ringing:
                self._doorbells.ring(queue, task_id)
            if ringing:
                session.execute(_STAMP, {"ringing": ringing})
            return len(ringing)


def _overdue(redispatch_seconds: float) -> sa.Select[int]:
    """Tasks rung for long ago that nobody claimed; there are at most as many as doorbells.

    Rung before, never claimed: wait 1, 2, 4, then 8 times the redispatch interval.
    """
    doublings = sa.func.least(TASKS.c.dispatches - 1, _MOST_DOUBLINGS)
    seconds = redispatch_seconds * sa.func.power(2.0, doublings)
    return (
        sa.select(TASKS.c.id)
        .where(
            TASKS.c.queue == sa.bindparam("of_queue"),
            MAY_BE_TAKEN,
            TASKS.c.dispatched_at < NOW - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds),
        )
        .order_by(TASKS.c.id)
        .with_for_update(skip_locked=True)
    )


def _room(running: int) -> int:
    """How many doorbells may wait: twice the busy workers, at least four."""
    return max(2 * running, 4)
