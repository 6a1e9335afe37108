"""The workers of an installation: who is there, and who is taken out of service.

A node is a machine, or one of its GPUs, as far as it serves one queue. A broken one
must not eat the attempts of task after task: three losses in a row, while others succeed, end its
service until a maintainer lets it back.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import NOW, AttemptRow, InstallationRow, TaskRow, WorkerRow
from replicalab.db.tables import ATTEMPTS, TASKS, WORKERS, constant
from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.resources import WorkerRead
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import QUEUES, Queue, TaskKind
from replicalab.engine.failures import ELSEWHERE, FailureClass
from replicalab.engine.versions import PROTOCOL, KindVersions, is_followed
from replicalab.refusals import WorkerNotFound

BREAKING_STREAK = 3
WITNESS_HOURS = 1
"""Another node's success within it shows that the work, the store and the database are well."""

ALIVE_MINUTES = 1
"""A node shows itself at every poll; one that has not for so long is gone."""

ELSEWHERE_MINUTES = 10
"""How long a task that failed on one node waits for another."""

_BLAMED = frozenset({FailureClass.LOST, FailureClass.RESOURCE})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Node:
    """What a worker says of itself."""

    name: str
    queue: Queue
    version: str
    device: str
    kinds: KindVersions = field(default_factory=lambda: KIND_VERSIONS)
    protocol: int = PROTOCOL

    @property
    def own_kinds(self) -> dict[str, int]:
        """The kinds of its queue, with their versions."""
        own = [kind for kind in self.kinds if QUEUES[kind] is self.queue]
        return {kind.value: self.kinds[kind] for kind in own}


def node_of(worker: str) -> str:
    """The node of a worker process named ``<node>:<pid>``."""
    return worker.rpartition(":")[0]


@cache
def is_drained(worker: str) -> sa.ColumnElement[bool]:
    """Whether the worker's node takes no tasks."""
    return sa.exists().where(WORKERS.c.node == node_of(worker), WORKERS.c.drained_at.is_not(None))


def is_alive(workers: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a node of ``workers`` has shown itself lately."""
    return workers.c.last_seen_at > NOW - sa.func.make_interval(0, 0, 0, 0, 0, ALIVE_MINUTES)


@cache
def may_run_elsewhere(worker: str) -> sa.ColumnElement[bool]:
    """Whether a task had better go to another node than the worker's.

    It failed here last, in a way that may be the node's fault, and another node of its queue is
    alive. After some minutes without a taker anybody may have it.
    """
    node = node_of(worker)
    other = WORKERS.alias("other")
    failed_here = sa.exists().where(
        ATTEMPTS.c.task_id == TASKS.c.id,
        ATTEMPTS.c.epoch == TASKS.c.epoch,
        ATTEMPTS.c.error_class.in_([constant(one) for one in sorted(ELSEWHERE)]),
        ATTEMPTS.c.worker.startswith(f"{node}:", autoescape=True),
    )
    has_other = sa.exists().where(
        other.c.queue == TASKS.c.queue,
        other.c.node != node,
        other.c.drained_at.is_(None),
        is_alive(other),
        other.c.kinds.contains(sa.func.jsonb_build_object(TASKS.c.kind, TASKS.c.kind_version)),
    )
    is_fresh = TASKS.c.queued_at > NOW - sa.func.make_interval(0, 0, 0, 0, 0, ELSEWHERE_MINUTES)
    return sa.and_(failed_here, has_other, is_fresh)


def ending_streaks(succeeded: sa.FromClause) -> sa.Update:
    """What makes the node of the one ``worker`` in ``succeeded`` trusted again."""
    node = sa.select(sa.func.regexp_replace(succeeded.c.worker, ":[^:]*$", "")).scalar_subquery()
    return sa.update(WORKERS).where(WORKERS.c.node == node, WORKERS.c.streak > 0).values(streak=0)


def note_failure(session: Session, worker: str, failure: FailureClass) -> None:
    """Count a loss that may be the node's fault; the third in a row may end its service."""
    if failure not in _BLAMED:
        return
    node = node_of(worker)
    row = session.execute(
        sa.update(WorkerRow)
        .where(WorkerRow.node == node)
        .values(streak=WorkerRow.streak + 1)
        .returning(WorkerRow.streak, WorkerRow.queue, WorkerRow.drained_at)
    ).one_or_none()
    if row is None or row.streak < BREAKING_STREAK or row.drained_at is not None:
        return
    if session.scalar(sa.select(_others_succeed(node, row.queue))):
        reason = f"{row.streak} attempts in a row were lost here while others succeeded."
        _drain(session, node, reason)
        _log.error("node %s is taken out of service: %s", node, reason)


def _others_succeed(node: str, queue: Queue) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        AttemptRow.outcome == "succeeded",
        AttemptRow.ended_at > NOW - sa.func.make_interval(0, 0, 0, 0, WITNESS_HOURS),
        ~AttemptRow.worker.startswith(f"{node}:", autoescape=True),
        TaskRow.id == AttemptRow.task_id,
        TaskRow.queue == queue,
    )


def _drain(session: Session, node: str, reason: str) -> None:
    session.execute(
        sa.update(WorkerRow)
        .where(WorkerRow.node == node, WorkerRow.drained_at.is_(None))
        .values(drained_at=NOW, drain_reason=reason)
    )


class Workers:
    """The register of nodes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def see(self, node: Node) -> bool:
        """Note that ``node`` is there; returns whether it may take tasks."""
        said = {
            "version": node.version,
            "device": node.device,
            "protocol": node.protocol,
            "kinds": node.own_kinds,
        }
        row = insert(WorkerRow).values(node=node.name, queue=node.queue, **said)
        with self._database.transaction() as session:
            drained_at = session.scalar(
                row.on_conflict_do_update(
                    index_elements=["node"], set_={"last_seen_at": NOW, **said}
                ).returning(WorkerRow.drained_at)
            )
            is_new_enough = session.scalar(sa.select(is_followed(node.protocol)))
        return drained_at is None and bool(is_new_enough)

    def since(self) -> datetime:
        """When the database was made, or when a backup last took its place."""
        with self._database.transaction() as session:
            return session.scalars(sa.select(InstallationRow.since)).one()

    def list(self) -> Sequence[WorkerRead]:
        """Every node that was ever seen, those seen last first."""
        running = (
            sa.select(sa.func.count())
            .where(
                TaskRow.state == TaskState.RUNNING,
                TaskRow.worker.startswith(WorkerRow.node + ":"),
            )
            .scalar_subquery()
        )
        with self._database.transaction() as session:
            rows = session.execute(
                sa.select(WorkerRow, running).order_by(WorkerRow.last_seen_at.desc())
            )
            return [_read(row, count) for row, count in rows]

    def drain(self, session: Session, node: str, reason: str) -> WorkerRead:
        """Take ``node`` out of service after its present task; raises ``WorkerNotFound``."""
        _locked(session, node)
        _drain(session, node, reason)
        return _read(_locked(session, node))

    def resume(self, session: Session, node: str) -> WorkerRead:
        """Let ``node`` take tasks again; raises ``WorkerNotFound``."""
        row = _locked(session, node)
        row.drained_at = row.drain_reason = None
        row.streak = 0
        session.flush()
        return _read(row)


def _locked(session: Session, node: str) -> WorkerRow:
    row = session.get(WorkerRow, node, with_for_update=True, populate_existing=True)
    if row is None:
        raise WorkerNotFound(f"No worker is called {node!r}.")
    return row


def _read(row: WorkerRow, running_tasks: int = 0) -> WorkerRead:
    return WorkerRead(
        node=row.node,
        queue=row.queue,
        version=row.version,
        protocol=row.protocol,
        kinds=row.kinds,
        unlike_kinds=_unlike_kinds(row),
        device=row.device,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        running_tasks=running_tasks,
        lost_in_a_row=row.streak,
        drained_at=row.drained_at,
        drain_reason=row.drain_reason,
    )


def _unlike_kinds(row: WorkerRow) -> tuple[TaskKind, ...]:
    """Kinds of the row's queue that it makes in no version, or in another than this program."""
    known = row.kinds or {}
    return tuple(
        kind
        for kind, version in KIND_VERSIONS.items()
        if QUEUES[kind] is row.queue and known.get(kind) != version
    )
