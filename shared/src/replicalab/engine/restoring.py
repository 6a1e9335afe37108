"""Experiments of other installations: made visible here, never taken for work of this one.

Nobody here saw an imported task run. Its key is one of its own, made of the new experiment's id
and the key it had, so that no plan, no input, no checkpoint and no repair ever finds it.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import BinaryIO, cast
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.crates.layout import ArchivedFile, archived_artifacts
from replicalab.crates.reading import ExportArchive
from replicalab.db.database import Database
from replicalab.db.models import (
    NOW,
    ArtifactRow,
    ExperimentRow,
    ExperimentTaskRow,
    MeasurementRow,
    TaskRow,
)
from replicalab.domain.exports import ExportedPlan, ExportedTask, Origin
from replicalab.domain.specs import AnyImportSpec
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import QUEUES, TASK_PARAMS, TaskKey
from replicalab.domain.text import told
from replicalab.engine.damages import note_whole
from replicalab.engine.journal import Journal
from replicalab.engine.orphans import lock_marks
from replicalab.file_errors import InvalidExport
from replicalab.planning.keys import canonical_json
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.objects import ChunkReader

LONGEST_TOLD = 10_000
"""Characters of what another installation says of a failure."""

_ENDED_HERE = frozenset(
    {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.UPSTREAM_FAILED}
)


class Restorations:
    """Writes experiments that archives tell of, on PostgreSQL and the object store."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def restore(
        self,
        archive: ExportArchive,
        sha256: str,
        *,
        owner: str,
        owner_id: UUID,
        project_id: UUID,
        within: Callable[[Session, UUID], None],
    ) -> tuple[UUID, bool]:
        """Make the experiment of an archive visible: all of it, or nothing.

        Its artifacts are stored first; where something breaks before their rows are committed,
        nobody sees them, and the sweep of orphans removes them: they may be what work of this
        installation has just written.

        Args:
            archive: Verified.
            sha256: Its digest.
            owner: Who brings it.
            owner_id: Their id.
            project_id: Where it goes.
            within: Called in the transaction that adds the experiment, with its id.

        Returns:
            The id of the experiment, and whether the project had it from this archive before.

        Raises:
            InvalidExport: It holds no study and no training, or tasks of another version.
        """
        _check(archive)
        files = {file.ref.sha256: file for file in archived_artifacts(archive.plan)}
        self._store(archive, files.values())
        row = _experiment(archive, sha256, owner, owner_id, project_id)
        with self._database.transaction() as session:
            lock_marks(session, [file.ref.store_key for file in files.values()])
            note_whole(session, files)
            added = _add(session, row)
            if added is not None:
                _add_tasks(session, archive, added)
                within(session, added)
                _tell(session, archive.plan, added)
            experiment_id = added or _earlier(session, project_id, sha256)
        # What was swept just before its row was there is stored again.
        swept = [file for file in files.values() if not self._artifacts.is_present(file.ref)]
        self._store(archive, swept)
        return experiment_id, added is None

    def _store(self, archive: ExportArchive, files: Iterable[ArchivedFile]) -> None:
        archive.rewind()
        for file in files:
            ref = file.ref
            body = cast(BinaryIO, ChunkReader(archive.pieces(file.path, ref)))
            self._artifacts.objects.put_file(ref.store_key, body, ref.size_bytes, ref.media_type)


def imported_key(experiment_id: UUID, key: TaskKey) -> TaskKey:
    """The key of a task that another installation had under ``key``."""
    return hashlib.sha256(f"imported:{experiment_id}:{key}".encode()).hexdigest()


def _check(archive: ExportArchive) -> None:
    if isinstance(archive.spec, AnyImportSpec):
        raise InvalidExport("It is the reading of an uploaded file; upload that file here instead.")
    for task in archive.plan.tasks:
        try:
            params = TASK_PARAMS.validate_json(canonical_json(task.parameters))
        except ValidationError as error:
            raise InvalidExport(
                f"plan.json: the parameters of task {task.key} are none that this version knows."
            ) from error
        if params.kind != task.kind:
            raise InvalidExport(f"plan.json: task {task.key} has the parameters of {params.kind}.")


def _origin(plan: ExportedPlan, sha256: str) -> Origin:
    return Origin(
        installation=plan.installation,
        experiment_id=plan.experiment.id,
        owner=plan.experiment.owner,
        exported_at=plan.exported_at,
        archive_sha256=sha256,
    )


def _experiment(
    archive: ExportArchive, sha256: str, owner: str, owner_id: UUID, project_id: UUID
) -> dict[str, object]:
    experiment, spec = archive.plan.experiment, archive.spec
    return {
        "id": uuid7(),
        "project_id": project_id,
        "owner_id": owner_id,
        "owner": owner,
        "name": spec.name,
        "kind": spec.kind,
        "spec": spec.model_dump(mode="json"),
        "state": experiment.state,
        "created_at": experiment.created_at,
        "ended_at": experiment.ended_at,
        "archive_sha256": sha256,
        "origin": _origin(archive.plan, sha256).model_dump(mode="json"),
    }


def _add(session: Session, row: dict[str, object]) -> UUID | None:
    """The id of a new row; None where the project has one of this archive."""
    return session.scalar(
        insert(ExperimentRow)
        .values(row)
        .on_conflict_do_nothing(index_elements=["project_id", "archive_sha256"])
        .returning(ExperimentRow.id)
    )


def _earlier(session: Session, project_id: UUID, sha256: str) -> UUID:
    return session.scalars(
        sa.select(ExperimentRow.id).where(
            ExperimentRow.project_id == project_id, ExperimentRow.archive_sha256 == sha256
        )
    ).one()


def _add_tasks(session: Session, archive: ExportArchive, experiment_id: UUID) -> None:
    tasks = archive.plan.tasks
    if not tasks:
        return
    now = session.execute(sa.select(NOW)).scalar_one()
    rows = [_task(task, archive.plan, experiment_id, now) for task in tasks]
    ids = session.scalars(
        sa.insert(TaskRow).returning(TaskRow.id, sort_by_parameter_order=True), rows
    ).all()
    links = [
        {"experiment_id": experiment_id, "task_id": id_, "position": position, "reused": False}
        for position, id_ in enumerate(ids)
    ]
    session.execute(sa.insert(ExperimentTaskRow), links)
    id_of = {task.key: id_ for task, id_ in zip(tasks, ids, strict=True)}
    if artifacts := [
        {
            "task_id": id_of[task.key],
            "name": artifact.name,
            **artifact.ref.model_dump(mode="json"),
        }
        for task in tasks
        for artifact in task.artifacts
        if artifact.path is not None
    ]:
        session.execute(sa.insert(ArtifactRow), artifacts)
    if measurements := [
        {
            "task_id": id_of[row.task_key],
            "position": position,
            "name": row.measurement.name,
            "body": row.measurement.model_dump(mode="json"),
        }
        for position, row in enumerate(archive.results.items)
    ]:
        session.execute(sa.insert(MeasurementRow), measurements)


def _task(
    task: ExportedTask, plan: ExportedPlan, experiment_id: UUID, now: datetime
) -> dict[str, object]:
    """The row of a task. It has cost nothing here, and says nothing about speeds here."""
    inputs = [
        one.model_copy(update={"key": imported_key(experiment_id, one.key)}) for one in task.inputs
    ]
    state = task.state if task.state in _ENDED_HERE else TaskState.CANCELLED
    return {
        "key": imported_key(experiment_id, task.key),
        "kind": task.kind,
        "queue": QUEUES[task.kind],
        "params": task.parameters,
        "inputs": [one.model_dump(mode="json") for one in inputs],
        "work": 0.0,
        "owner": plan.experiment.owner[:120],
        "state": state,
        "attempts": task.attempts,
        "started_at": task.started_at,
        "ended_at": task.ended_at or plan.experiment.ended_at,
        "error_class": None if task.error_class is None else told(task.error_class, 100),
        "error": None if task.error is None else told(task.error, LONGEST_TOLD),
        "evicted_at": now,
    }


def _tell(session: Session, plan: ExportedPlan, experiment_id: UUID) -> None:
    journal = Journal()
    journal.experiment(experiment_id, plan.experiment.state, imported=True)
    journal.write(session)
