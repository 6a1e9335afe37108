"""Accepting a specification: one transaction writes everything, or nothing is written (T1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.db.models import ArtifactRow, ExperimentRow, IdempotencyRow, TaskRow
from replicalab.db.tables import EXPERIMENTS, TASKS, among
from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.priorities import Priority
from replicalab.domain.specs import AnyImportSpec, AnySpec
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import TaskDefinition, TaskKey
from replicalab.engine import endings
from replicalab.engine.demand import follow_demand
from replicalab.engine.details import ref_of_row
from replicalab.engine.journal import Journal
from replicalab.engine.moves import evict
from replicalab.engine.new_rows import insert_edges, insert_tasks, link_tasks
from replicalab.engine.reading import follow_retry
from replicalab.engine.usage import MOST_OPEN_TASKS, check_open_tasks, check_quota
from replicalab.errors import IdempotencyConflict
from replicalab.planning.builder import Plan
from replicalab.planning.keys import digest_of
from replicalab.storage.artifacts import ArtifactStore

SUBMISSION_LOCK = 7_423_003
"""Submissions take turns, so that no two insert a living generation of one key."""

LIVING = (
    TaskState.BLOCKED,
    TaskState.QUEUED,
    TaskState.RUNNING,
    TaskState.RETRY_WAIT,
    TaskState.QUARANTINED,
    TaskState.SUCCEEDED,
)

Cache = Literal["hit", "shared", "miss"]

_TAKE_TURNS = sa.select(sa.func.pg_advisory_xact_lock(SUBMISSION_LOCK))
_LIVING_TASKS = sa.select(TASKS.c.key, TASKS.c.id, TASKS.c.state).where(
    among(TASKS.c.key, "keys"), TASKS.c.state.in_(LIVING), TASKS.c.evicted_at.is_(None)
)
_LOCK_LIVING = (
    sa.select(TASKS.c.id, TASKS.c.key, TASKS.c.state, TASKS.c.cancel_requested)
    .where(among(TASKS.c.id, "ids"), TASKS.c.state.in_(LIVING))
    .order_by(TASKS.c.id)
    .with_for_update()
)


@dataclass(frozen=True, slots=True)
class LivingTask:
    """A task that exists already and can serve another experiment."""

    id: int
    state: TaskState

    @property
    def cache(self) -> Cache:
        return "hit" if self.state is TaskState.SUCCEEDED else "shared"


def living_tasks(session: Session, plan: Plan) -> dict[TaskKey, LivingTask]:
    """The tasks of ``plan`` that exist and have not failed."""
    rows = session.execute(_LIVING_TASKS, {"keys": [task.key for task in plan.tasks]})
    return {row.key: LivingTask(row.id, row.state) for row in rows}


def unreadable_tasks(
    session: Session, artifacts: ArtifactStore, living: Iterable[LivingTask]
) -> set[int]:
    """Ids of succeeded tasks that lost an artifact: a hit needs its bytes."""
    done = [task.id for task in living if task.state is TaskState.SUCCEEDED]
    if not done:
        return set()
    rows = session.scalars(sa.select(ArtifactRow).where(ArtifactRow.task_id.in_(done)))
    return {row.task_id for row in rows if not artifacts.is_present(ref_of_row(row))}


class Submission:
    """Writes one experiment, its missing tasks and their edges."""

    def __init__(
        self, session: Session, artifacts: ArtifactStore, most_open_tasks: int = MOST_OPEN_TASKS
    ) -> None:
        self._session = session
        self._most_open_tasks = most_open_tasks
        self._artifacts = artifacts
        self._journal = Journal()

    def replay(self, spec: AnySpec, owner: str, project_id: UUID, key: str | None) -> UUID | None:
        """The experiment that an earlier request with this key made.

        Raises:
            IdempotencyConflict: That request asked for something else, or in another project:
                whoever is no member there any more gets no answer from it.
        """
        self._session.execute(_TAKE_TURNS)
        if key is None:
            return None
        row = self._session.get(IdempotencyRow, (owner, key))
        if row is None:
            return None
        then = self._session.get_one(ExperimentRow, row.experiment_id)
        if row.body_sha256 != digest_of(spec) or then.project_id != project_id:
            raise IdempotencyConflict(
                "This Idempotency-Key came with another specification or project before; "
                "use a new key."
            )
        return row.experiment_id

    def accept(
        self,
        spec: AnySpec,
        plan: Plan,
        *,
        owner: str,
        key: str | None,
        priority: Priority,
        owner_id: UUID | None,
        project_id: UUID,
    ) -> UUID:
        """Write the experiment and return its id; raises ``QuotaExceeded`` and ``TooManyTasks``."""
        session = self._session
        check_quota(session, owner)
        reused = self._reusable(plan)
        experiment_id = uuid7()
        session.execute(
            sa.insert(EXPERIMENTS),
            {
                "id": experiment_id,
                "owner": owner,
                "owner_id": owner_id,
                "project_id": project_id,
                "name": spec.name,
                "kind": spec.kind,
                "spec": spec.model_dump(mode="json"),
                "priority": priority.rank,
                "reused_tasks": len(reused),
            },
        )
        if isinstance(spec, AnyImportSpec):
            follow_retry(session, spec, project_id, experiment_id)
        ids = self._insert_missing(plan, reused, owner, priority)
        links = [(ids[task.key], task.key in reused) for task in plan.tasks]
        link_tasks(session, experiment_id, links)
        if key is not None:
            self._remember(spec, owner, key, experiment_id)
        follow_demand(session, [task.id for task in reused.values()])
        self._journal.wakes_scheduler |= bool(reused)  # they may have become more urgent
        self._journal.experiment(experiment_id, ExperimentState.QUEUED)
        endings.refresh_experiment(session, self._journal, experiment_id, ExperimentState.QUEUED)
        self._journal.write(session)
        return experiment_id

    def _remember(
        self,
        spec: AnySpec,
        owner: str,
        key: str,
        experiment_id: UUID,
    ) -> None:
        digest = digest_of(spec)
        self._session.add(
            IdempotencyRow(owner=owner, key=key, body_sha256=digest, experiment_id=experiment_id)
        )

    def _reusable(self, plan: Plan) -> dict[TaskKey, LivingTask]:
        """Living tasks whose rows are now locked and whose artifacts are there."""
        session = self._session
        living = living_tasks(session, plan)
        lost = unreadable_tasks(session, self._artifacts, living.values())
        if lost:
            evict(session, sa.select(TaskRow.id).where(TaskRow.id.in_(lost)))
        ids = [task.id for task in living.values() if task.id not in lost]
        if not ids:
            return {}
        rows = session.execute(_LOCK_LIVING, {"ids": ids}).all()
        if unwanted := [row.id for row in rows if row.cancel_requested]:
            session.execute(
                sa.update(TaskRow).where(TaskRow.id.in_(unwanted)).values(cancel_requested=False)
            )
        return {row.key: LivingTask(row.id, row.state) for row in rows}

    def _insert_missing(
        self, plan: Plan, reused: dict[TaskKey, LivingTask], owner: str, priority: Priority
    ) -> dict[TaskKey, int]:
        """Insert the tasks that do not live; returns the row id of every task of the plan."""
        session = self._session
        ids = {key: task.id for key, task in reused.items()}
        succeeded = {key for key, task in reused.items() if task.state is TaskState.SUCCEEDED}
        missing = [task for task in plan.tasks if task.key not in reused]
        if not missing:
            return ids
        check_open_tasks(session, owner, len(missing), self._most_open_tasks)
        rows = (_row_of(task, succeeded) for task in missing)
        ids |= insert_tasks(session, rows, owner=owner, priority=priority.rank)
        edges = [(ids[parent], ids[task.key]) for task in missing for parent in task.parents]
        if edges:
            insert_edges(session, edges)
        self._journal.wakes_scheduler = True
        return ids


def _row_of(task: TaskDefinition, succeeded: set[TaskKey]) -> dict[str, object]:
    unmet = sum(parent not in succeeded for parent in task.parents)
    return {
        "key": task.key,
        "kind": task.kind,
        "kind_version": KIND_VERSIONS[task.kind],
        "queue": task.queue,
        "params": task.params.model_dump(mode="json"),
        "inputs": [task_input.model_dump(mode="json") for task_input in task.inputs],
        "work": task.work,
        "state": TaskState.BLOCKED if unmet else TaskState.QUEUED,
        "unmet": unmet,
    }
