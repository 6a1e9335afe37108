"""Experiments as the gateway sees them: submit, look, cancel."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import ExperimentRow
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.priorities import Priority
from replicalab.domain.resources import (
    ArtifactRead,
    EventRead,
    ExperimentPage,
    ExperimentRead,
    ExperimentSummary,
    PlannedTask,
    PlanRead,
    Results,
    TaskRead,
)
from replicalab.domain.specs import AnySpec
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import TaskKey
from replicalab.engine import demand, details
from replicalab.engine.cancelling import cancel
from replicalab.engine.journal import Journal
from replicalab.engine.naming import planned
from replicalab.engine.progress import Speeds, TaskStanding, eta_seconds
from replicalab.engine.quarantine import release_quarantined
from replicalab.engine.snapshots import Snapshot, not_found, snapshot_of
from replicalab.engine.submission import Submission, living_tasks, unreadable_tasks
from replicalab.engine.usage import MOST_OPEN_TASKS
from replicalab.errors import IllegalTransition
from replicalab.storage.artifacts import ArtifactStore

Within = Callable[[Session], None]
"""What a caller does in the transaction of a change; what it raises undoes the change."""


def _nothing(_session: Session) -> None:
    """Do nothing besides the change."""


class Experiments:
    """The life of experiments, on PostgreSQL."""

    def __init__(
        self, database: Database, artifacts: ArtifactStore, most_open_tasks: int = MOST_OPEN_TASKS
    ) -> None:
        self._database = database
        self._most_open_tasks = most_open_tasks
        self._artifacts = artifacts
        self._speeds = Speeds()

    def submit(
        self,
        spec: AnySpec,
        *,
        owner: str,
        idempotency_key: str | None,
        owner_id: UUID | None = None,
        project_id: UUID = DEFAULT_PROJECT_ID,
        priority: Priority = Priority.NORMAL,
    ) -> tuple[ExperimentRead, bool]:
        """Accept ``spec``; with a key that was used before, answer as then.

        Returns:
            The experiment, and whether it is the answer to an earlier request.

        Raises:
            InvalidRequest: The parts of the specification do not fit together.
            IdempotencyConflict: The key was used for another specification or project.
            QuotaExceeded, TooManyTasks: The owner has used up what they may use.
        """
        spec, tasks = planned(self._database, self._artifacts, spec, project_id)
        with self._database.transaction() as session:
            submission = Submission(session, self._artifacts, self._most_open_tasks)
            experiment_id = submission.replay(spec, owner, project_id, idempotency_key)
            replayed = experiment_id is not None
            if experiment_id is None:
                experiment_id = submission.accept(
                    spec,
                    tasks,
                    owner=owner,
                    key=idempotency_key,
                    priority=priority,
                    owner_id=owner_id,
                    project_id=project_id,
                )
            return self.read(session, experiment_id), replayed

    def validate(
        self,
        spec: AnySpec,
        *,
        project_id: UUID = DEFAULT_PROJECT_ID,
    ) -> PlanRead:
        """What ``submit`` would do, without doing it."""
        _, tasks = planned(self._database, self._artifacts, spec, project_id)
        with self._database.transaction() as session:
            living = living_tasks(session, tasks)
            lost = unreadable_tasks(session, self._artifacts, living.values())
            reused = {key: task for key, task in living.items() if task.id not in lost}
            missing = [
                TaskStanding(task.kind, TaskState.BLOCKED, task.work, 0.0, "")
                for task in tasks.tasks
                if task.key not in reused
            ]
            return PlanRead(
                tasks=[
                    PlannedTask(
                        key=task.key,
                        kind=task.kind,
                        parents=list(task.parents),
                        cache=reused[task.key].cache if task.key in reused else "miss",
                    )
                    for task in tasks.tasks
                ],
                evaluations=tasks.evaluations,
                cache_hits=sum(task.cache == "hit" for task in reused.values()),
                eta_seconds=eta_seconds(missing, self._speeds.measured(session)),
            )

    def get(self, experiment_id: UUID) -> ExperimentRead:
        """The experiment, or ``ExperimentNotFound``."""
        return self.find(experiment_id).experiment

    def find(self, experiment_id: UUID) -> Snapshot:
        """As ``get``, and whose it is: what is asked most often, in one round trip."""
        with self._database.reading() as connection:
            return snapshot_of(connection, experiment_id, self._speeds)

    def look(
        self, experiment_id: UUID, *, after: int, limit: int
    ) -> tuple[Snapshot, Sequence[EventRead]]:
        """How it stands, then at most ``limit`` events with ids above ``after``, rising.

        In this order a terminal state's last event is never missed.
        """
        with self._database.transaction() as session:
            found = snapshot_of(session, experiment_id, self._speeds)
            return found, details.events_of(session, experiment_id, after=after, limit=limit)

    def list(
        self,
        *,
        limit: int,
        before: UUID | None = None,
        state: ExperimentState | None = None,
        name: str | None = None,
        where: sa.ColumnElement[bool] | None = None,
    ) -> ExperimentPage:
        """Experiments, newest first (ids rise with time), from below ``before``.

        Args:
            limit: Items of a page.
            before: The cursor of the previous page.
            state: Only experiments in this state.
            name: Only experiments whose name contains this text, ignoring case.
            where: Only experiments for which this holds, such as those that somebody may see.
        """
        query = sa.select(
            ExperimentRow.id,
            ExperimentRow.project_id,
            ExperimentRow.owner,
            ExperimentRow.name,
            ExperimentRow.kind,
            ExperimentRow.state,
            ExperimentRow.created_at,
            ExperimentRow.ended_at,
        ).order_by(ExperimentRow.id.desc())
        if where is not None:
            query = query.where(where)
        if before is not None:
            query = query.where(ExperimentRow.id < before)
        if state is not None:
            query = query.where(ExperimentRow.state == state)
        if name is not None:
            query = query.where(ExperimentRow.name.icontains(name, autoescape=True))
        with self._database.transaction() as session:
            rows = session.execute(query.limit(limit + 1)).all()
        items = [ExperimentSummary.model_validate(dict(row._mapping)) for row in rows[:limit]]
        more = len(rows) > limit
        return ExperimentPage(items=items, next_cursor=str(items[-1].id) if more else None)

    def cancel(self, experiment_id: UUID, *, within: Within = _nothing) -> ExperimentRead:
        """Cancel (T9): ends at once for readers; tasks nobody else needs are stopped.

        Raises:
            ExperimentNotFound: No such experiment.
            IllegalTransition: It has ended already, other than by being cancelled.
        """
        with self._database.transaction() as session:
            open_tasks = demand.lock_open_tasks(session, experiment_id)
            row = session.get(ExperimentRow, experiment_id, with_for_update=True)
            if row is None:
                raise not_found(experiment_id)
            if row.state is ExperimentState.CANCELLED:
                return self.read(session, experiment_id)
            if row.state.is_terminal:
                raise IllegalTransition(f"The experiment has ended: it {row.state}.")
            tasks = demand.unshared_tasks(session, experiment_id, open_tasks)
            within(session)
            cancel(session, experiment_id, tasks)
            return self.read(session, experiment_id)

    def hold(self, experiment_id: UUID, *, within: Within = _nothing) -> ExperimentRead:
        """Let waiting tasks wait until ``release``; running ones go on, shared ones as well."""
        return self._change(experiment_id, partial(demand.set_hold, is_held=True), within)

    def release(self, experiment_id: UUID, *, within: Within = _nothing) -> ExperimentRead:
        """End a hold."""
        return self._change(experiment_id, partial(demand.set_hold, is_held=False), within)

    def reprioritise(
        self, experiment_id: UUID, priority: Priority, *, within: Within = _nothing
    ) -> ExperimentRead:
        """Move an experiment to another priority class."""
        change = partial(demand.set_priority, priority=priority)
        return self._change(experiment_id, change, within)

    def release_quarantined(
        self, experiment_id: UUID, *, within: Within = _nothing
    ) -> ExperimentRead:
        """Try again what was put away because it killed its workers (T10)."""
        with self._database.transaction() as session:
            release_quarantined(session, experiment_id)
            within(session)
            return self.read(session, experiment_id)

    def _change(
        self, experiment_id: UUID, change: Callable[[Session, Journal, UUID], None], within: Within
    ) -> ExperimentRead:
        with self._database.transaction() as session:
            tasks = demand.lock_open_tasks(session, experiment_id)
            row = session.get(ExperimentRow, experiment_id, with_for_update=True)
            if row is None:
                raise not_found(experiment_id)
            if row.state.is_terminal:
                raise IllegalTransition(f"The experiment has ended: it {row.state}.")
            within(session)
            journal = Journal(wakes_scheduler=True)
            change(session, journal, experiment_id)
            demand.follow_demand(session, tasks)
            journal.write(session)
            return self.read(session, experiment_id)

    def tasks(self, experiment_id: UUID) -> Sequence[TaskRead]:
        """Tasks in topological order."""
        with self._database.transaction() as session:
            return details.tasks_of(session, experiment_id)

    def results(self, experiment_id: UUID) -> Results:
        """Every measurement so far."""
        with self._database.transaction() as session:
            return details.results_of(session, experiment_id)

    def artifacts(self, experiment_id: UUID) -> Sequence[ArtifactRead]:
        """Every artifact so far."""
        with self._database.transaction() as session:
            return details.artifacts_of(session, experiment_id)

    def artifact(self, experiment_id: UUID, task_key: TaskKey, name: str) -> ArtifactRef:
        """One artifact, or ``ArtifactNotFound``."""
        with self._database.transaction() as session:
            return details.artifact_of(session, experiment_id, task_key, name)

    def read(self, session: Session, experiment_id: UUID) -> ExperimentRead:
        """As ``get``, in the caller's transaction."""
        session.flush()  # statements on tables do not do so themselves
        return snapshot_of(session, experiment_id, self._speeds).experiment
