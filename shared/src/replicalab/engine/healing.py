"""What should not happen, and is put right all the same: left by a defect or a damaged restore.

A pass looks at a part of the tasks and of the experiments, the next one at the next part, and so on
from the beginning: it costs the same however many there are. What looks wrong is locked, looked at
again, and only then changed, so that nothing that moves meanwhile waits or is taken for damage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import NOW, ExperimentRow, ExperimentTaskRow, TaskRow
from replicalab.db.tables import TASK_EDGES, TASKS, found_by
from replicalab.domain.states import ExperimentState, TaskState, experiment_state
from replicalab.engine import endings
from replicalab.engine.journal import Journal
from replicalab.engine.outdated import end_outdated

_LIVING = [state for state in ExperimentState if not state.is_terminal]
_WAITING = [TaskState.QUEUED, TaskState.RETRY_WAIT]
_PARENTS = TASKS.alias("parents")


@dataclass
class Healer:
    """Rules that heal, a part at a time; safe to run twice at once.

    Attributes:
        database: Whose rows are looked at.
        tasks_at_once: How many ids of tasks belong to a part (>= 1).
        experiments_at_once: How many living experiments belong to a part (>= 1).
    """

    database: Database
    tasks_at_once: int = 10_000
    experiments_at_once: int = 100
    _last_task: int = 0
    _last_experiment: UUID | None = None

    def heal(self) -> Mapping[str, int]:
        """Look at the next part; returns how many rows each rule moved."""
        part = self._next_tasks()
        return {
            "outdated": self._end_outdated(part),
            "unwanted": self._end_unwanted(part),
            "stuck-blocked": self._queue_unblocked(part),
            "orphaned-blocked": self._end_orphans(part),
            "stale-experiments": self._refresh_stale(self._next_experiments()),
        }

    def _next_tasks(self) -> range:
        with self.database.reading() as connection:
            newest = connection.scalar(sa.select(sa.func.max(TaskRow.id))) or 0
        first = self._last_task + 1 if self._last_task < newest else 1
        part = range(first, first + self.tasks_at_once)
        self._last_task = part[-1]
        return part

    def _next_experiments(self) -> Sequence[UUID]:
        living = sa.select(ExperimentRow.id).where(ExperimentRow.state.in_(_LIVING))
        if self._last_experiment is not None:
            living = living.where(ExperimentRow.id > self._last_experiment)
        with self.database.reading() as connection:
            part = connection.scalars(
                living.order_by(ExperimentRow.id).limit(self.experiments_at_once)
            ).all()
        is_last = len(part) < self.experiments_at_once
        self._last_experiment = None if is_last else part[-1]
        return part

    def _end_outdated(self, part: range) -> int:
        """Tasks that no worker makes any more in their version end."""
        with self.database.transaction() as session:
            return len(end_outdated(session, part))

    def _end_unwanted(self, part: range) -> int:
        """Tasks that wait though they were to be cancelled, which no worker takes, end (T9)."""
        unwanted = (
            sa.select(TaskRow.id)
            .where(_within(part), TaskRow.cancel_requested, TaskRow.state.in_(_WAITING))
            .order_by(TaskRow.id)
            .with_for_update(skip_locked=True)
        )
        with self.database.transaction() as session:
            ended = session.scalars(
                sa.update(TaskRow)
                .where(TaskRow.id.in_(unwanted))
                .values(state=TaskState.CANCELLED, ended_at=NOW, dispatched_at=None)
                .returning(TaskRow.id)
            ).all()
            journal = Journal()
            for task_id in ended:
                journal.task(task_id, TaskState.CANCELLED)
            endings.end_dependents(session, journal, ended)
            journal.write(session)
            return len(ended)

    def _queue_unblocked(self, part: range) -> int:
        """R3, R4: blocked tasks whose count of unfinished parents is wrong are put right."""
        with self.database.transaction() as session:
            suspects = session.scalars(_miscounted(_within(part))).all()
            if not suspects:
                return 0
            locked = session.scalars(
                sa.select(TaskRow.id)
                .where(TaskRow.id.in_(suspects))
                .order_by(TaskRow.id)
                .with_for_update(skip_locked=True)
            ).all()
            wrong = session.scalars(_miscounted(TaskRow.id.in_(locked))).all()
            journal = Journal()
            journal.queued(_recount(session, wrong))
            journal.write(session)
            return len(wrong)

    def _end_orphans(self, part: range) -> int:
        """R3: blocked tasks that wait for one that will never succeed end as well (T8)."""
        parents = (
            sa.select(TASK_EDGES.c.parent_id)
            .join(TaskRow, TaskRow.id == TASK_EDGES.c.child_id)
            .where(_within(part), TaskRow.state == TaskState.BLOCKED)
        )
        doomed = (
            sa.select(TASKS.c.id)
            .where(found_by(TASKS.c.id, parents), TASKS.c.state.in_(endings.DOOMED))
            .order_by(TASKS.c.id)
        )
        with self.database.transaction() as session:
            journal = Journal()
            ended: list[int] = []
            for parent_id in session.scalars(doomed).all():
                ended += endings.fail_descendants(session, journal, parent_id)
            endings.refresh_experiments(session, journal, ended)
            journal.write(session)
            return len(ended)

    def _refresh_stale(self, part: Sequence[UUID]) -> int:
        """R6: experiments whose stored state is not what follows from their tasks."""
        states = sa.func.array_agg(sa.distinct(TaskRow.state))
        found = (
            sa.select(ExperimentRow.id, ExperimentRow.state, states.label("tasks"))
            .join(ExperimentTaskRow, ExperimentTaskRow.experiment_id == ExperimentRow.id)
            .join(TaskRow, TaskRow.id == ExperimentTaskRow.task_id)
            .where(ExperimentRow.id.in_(part))
            .group_by(ExperimentRow.id)
        )
        with self.database.transaction() as session:
            stale = [
                row.id
                for row in session.execute(found)
                if experiment_state(map(TaskState, row.tasks), old=row.state) is not row.state
            ]
            return _refresh(session, stale)


def _within(part: range) -> sa.ColumnElement[bool]:
    """Whether a task's id is in ``part``."""
    return TaskRow.id.between(part[0], part[-1])


def _miscounted(tasks: sa.ColumnElement[bool]) -> sa.Select[int]:
    return (
        sa.select(TaskRow.id)
        .where(tasks, TaskRow.state == TaskState.BLOCKED, TaskRow.unmet != _unmet())
        .order_by(TaskRow.id)
    )


def _unmet() -> sa.ScalarSelect[int]:
    return (
        sa.select(sa.func.count())
        .select_from(TASK_EDGES)
        .join(_PARENTS, _PARENTS.c.id == TASK_EDGES.c.parent_id)
        .where(TASK_EDGES.c.child_id == TaskRow.id, _PARENTS.c.state != TaskState.SUCCEEDED)
        .scalar_subquery()
    )


def _recount(session: Session, task_ids: Sequence[int]) -> list[int]:
    """Write how many parents tasks wait for; returns those that wait for none any more."""
    rows = session.execute(
        sa.update(TaskRow)
        .where(TaskRow.id.in_(task_ids))
        .values(
            unmet=_unmet(),
            state=sa.case((_unmet() == 0, TaskState.QUEUED.value), else_=TaskState.BLOCKED.value),
            queued_at=sa.case((_unmet() == 0, NOW), else_=None),
        )
        .returning(TaskRow.id, TaskRow.state)
    ).all()
    return [row.id for row in rows if row.state is TaskState.QUEUED]


def _refresh(session: Session, experiment_ids: Sequence[UUID]) -> int:
    if not experiment_ids:
        return 0
    journal = Journal()
    living = session.execute(
        sa.select(ExperimentRow.id, ExperimentRow.state)
        .where(ExperimentRow.id.in_(experiment_ids), ExperimentRow.ended_at.is_(None))
        .order_by(ExperimentRow.id)
        .with_for_update(skip_locked=True)
    ).all()
    moved = sum(
        endings.refresh_experiment(session, journal, experiment_id, state) is not state
        for experiment_id, state in living
    )
    journal.write(session)
    return moved
