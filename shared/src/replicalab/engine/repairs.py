"""Damaged artifacts are made again: a new generation of the task that had made them.

Its outputs lie under their digests, so where the work is deterministic every reader of the old
generation finds whole bytes again. Where it is not (some GPUs), old results keep their damaged
artifact and new submissions use the new generation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import (
    NOW,
    ArtifactRow,
    ExperimentRow,
    ExperimentTaskRow,
    TaskEdgeRow,
    TaskRow,
)
from replicalab.db.storage import DamageRow
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import TaskInput
from replicalab.engine.details import ref_of_row
from replicalab.engine.journal import Journal
from replicalab.engine.moves import evict
from replicalab.engine.submission import SUBMISSION_LOCK
from replicalab.engine.verification import Verifier, artifacts_named
from replicalab.storage.artifacts import ArtifactStore

REPAIR_OWNER = "storage repairs"
"""Whom the work is charged to: nobody's quota pays for it, and it has a fair share of its own."""

TRY_SECONDS = 3600.0
"""Until the next look at a producer that could not run again: its inputs are read each time."""

_BATCH = 20
_COPIED = ("key", "kind", "kind_version", "queue", "params", "inputs", "work", "priority")


@dataclass(frozen=True, slots=True)
class _Repair:
    """A task to do again: its inputs, and the tasks that made those."""

    task_id: int
    inputs: Sequence[ArtifactRef]
    parents: Sequence[int]


class Repairs:
    """Queues producers of damaged artifacts again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._verifier = Verifier(database)

    def repair(self, store: ArtifactStore) -> int:
        """Queue each producer whose inputs are whole; returns how many.

        What turns out to be whole after all is damaged no more. A task is done again once: where
        the new generation fails, people decide.
        """
        with self._database.transaction() as session:
            suspects = _suspects(session)
        lost = [ref.sha256 for ref in suspects if not self._is_whole(store, ref)]
        with self._database.transaction() as session:
            planned = [_planned(session, task_id) for task_id in _producers(session, lost)]
        return sum(self._is_queued(store, repair) for repair in planned if repair is not None)

    def _is_queued(self, store: ArtifactStore, repair: _Repair) -> bool:
        if not all(self._is_whole(store, ref) for ref in repair.inputs):
            return False  # whoever made the input comes first
        with self._database.transaction() as session:
            return _queue_again(session, repair)

    def _is_whole(self, store: ArtifactStore, ref: ArtifactRef) -> bool:
        return self._verifier.verify(store, ref, lambda _: None)


def _suspects(session: Session) -> Sequence[ArtifactRef]:
    """Damaged bytes that nobody has looked at for a while; they count as looked at."""
    waited = NOW - sa.func.make_interval(0, 0, 0, 0, 0, 0, TRY_SECONDS)
    digests = session.scalars(
        sa.select(DamageRow.sha256)
        .where(DamageRow.tried_at.is_(None) | (DamageRow.tried_at < waited))
        .order_by(DamageRow.tried_at.nulls_first())
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    session.execute(sa.update(DamageRow).where(DamageRow.sha256.in_(digests)).values(tried_at=NOW))
    return artifacts_named(session, digests)


def _producers(session: Session, digests: Sequence[str]) -> Sequence[int]:
    """Succeeded tasks that made one of ``digests``, each the last generation of its key.

    What was imported has run elsewhere, and says so itself: it does not run here.
    """
    later = TaskRow.__table__.alias("later")
    is_last = ~sa.exists().where(
        later.c.key == TaskRow.key, later.c.generation > TaskRow.generation
    )
    is_ours = ~sa.exists().where(
        ExperimentTaskRow.task_id == TaskRow.id,
        ExperimentTaskRow.experiment_id == ExperimentRow.id,
        ExperimentRow.origin.is_not(None),
    )
    made_it = sa.exists().where(ArtifactRow.task_id == TaskRow.id, ArtifactRow.sha256.in_(digests))
    return session.scalars(
        sa.select(TaskRow.id)
        .where(TaskRow.state == TaskState.SUCCEEDED, made_it, is_last, is_ours)
        .order_by(TaskRow.id)
    ).all()


def _planned(session: Session, task_id: int) -> _Repair | None:
    """None while an input has no succeeded generation."""
    wanted = [
        TaskInput.model_validate(one)
        for one in session.scalar(sa.select(TaskRow.inputs).where(TaskRow.id == task_id)) or []
    ]
    rows = session.execute(
        sa.select(TaskRow.key, TaskRow.id, ArtifactRow)
        .join(ArtifactRow, ArtifactRow.task_id == TaskRow.id)
        .where(
            TaskRow.key.in_({one.key for one in wanted}),
            TaskRow.state == TaskState.SUCCEEDED,
        )
        .order_by(TaskRow.generation)
    ).all()
    newest = {(key, artifact.name): (parent, artifact) for key, parent, artifact in rows}
    if any((one.key, one.artifact) not in newest for one in wanted):
        return None
    found = [newest[one.key, one.artifact] for one in wanted]
    return _Repair(
        task_id=task_id,
        inputs=[ref_of_row(artifact) for _, artifact in found],
        parents=sorted({parent for parent, _ in found}),
    )


def _queue_again(session: Session, repair: _Repair) -> bool:
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(SUBMISSION_LOCK)))
    old = session.get_one(TaskRow, repair.task_id)
    last = sa.select(sa.func.max(TaskRow.generation)).where(TaskRow.key == old.key)
    if session.scalar(last) != old.generation:
        return False  # somebody has submitted it meanwhile
    evict(session, sa.select(TaskRow.id).where(TaskRow.id == repair.task_id))
    new = TaskRow(
        **{name: getattr(old, name) for name in _COPIED},
        generation=old.generation + 1,
        owner=REPAIR_OWNER,
        state=TaskState.QUEUED,
        queued_at=session.execute(sa.select(NOW)).scalar_one(),
    )
    session.add(new)
    session.flush()
    session.add_all(TaskEdgeRow(parent_id=parent, child_id=new.id) for parent in repair.parents)
    journal = Journal(wakes_scheduler=True)
    journal.task(new.id, TaskState.QUEUED, repairs=repair.task_id)
    journal.write(session)
    return True
