"""Ringing for queued tasks: PostgreSQL keeps the queue, the broker holds only a few doorbells."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import NOW, TaskRow
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine.doorbells import Doorbells
from replicalab.engine.waiting import take_fairly

_MOST_DOUBLINGS = 3


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
        self._redispatch_seconds = redispatch_seconds

    def dispatch(self) -> int:
        """Ring for waiting tasks in fair order; returns how many doorbells were sent.

        Raises:
            BrokerUnavailable: What was not rung stays unstamped and is tried again.
        """
        return sum(self._dispatch_queue(queue) for queue in Queue)

    def _dispatch_queue(self, queue: Queue) -> int:
        with self._database.transaction() as session:
            running, rung = self._under_way(session, queue)
            overdue = self._overdue(session, queue)
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
            session.execute(
                sa.update(TaskRow)
                .where(TaskRow.id.in_(ringing))
                .values(dispatched_at=NOW, dispatches=TaskRow.dispatches + 1)
            )
            return len(ringing)

    def _overdue(self, session: Session, queue: Queue) -> list[int]:
        """Tasks rung for long ago that nobody claimed; there are at most as many as doorbells."""
        return list(
            session.scalars(
                sa.select(TaskRow.id)
                .where(
                    TaskRow.queue == queue,
                    TaskRow.state == TaskState.QUEUED,
                    TaskRow.held.is_(False),
                    self._is_overdue(),
                )
                .order_by(TaskRow.id)
                .with_for_update(skip_locked=True)
            )
        )

    def _is_overdue(self) -> sa.ColumnElement[bool]:
        """Rung before, never claimed: wait 1, 2, 4, then 8 times the redispatch interval."""
        doublings = sa.func.least(TaskRow.dispatches - 1, _MOST_DOUBLINGS)
        seconds = self._redispatch_seconds * sa.func.power(2.0, doublings)
        return TaskRow.dispatched_at < NOW - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)

    def _under_way(self, session: Session, queue: Queue) -> tuple[int, int]:
        """How many tasks run, and for how many a doorbell was rung that nobody has answered."""
        count = sa.select(sa.func.count()).select_from(TaskRow).where(TaskRow.queue == queue)
        running = session.scalar(count.where(TaskRow.state == TaskState.RUNNING)) or 0
        rung = session.scalar(
            count.where(
                TaskRow.state == TaskState.QUEUED,
                TaskRow.dispatched_at.is_not(None),
                TaskRow.held.is_(False),
            )
        )
        return running, rung or 0


def _room(running: int) -> int:
    """How many doorbells may wait: twice the busy workers, at least four."""
    return max(2 * running, 4)
