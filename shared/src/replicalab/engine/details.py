"""Reading what belongs to one experiment: tasks, results, artifacts, events."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import (
    ArtifactRow,
    EventRow,
    ExperimentRow,
    ExperimentTaskRow,
    MeasurementRow,
    TaskLeaseRow,
    TaskRow,
)
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.measures import Measurement
from replicalab.domain.resources import ArtifactRead, EventRead, ResultRow, Results, TaskRead
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import TaskKey
from replicalab.errors import ArtifactNotFound, ExperimentNotFound
from replicalab.planning.keys import canonical_json


def state_of(session: Session, experiment_id: UUID) -> ExperimentState:
    """The state of an experiment, or ``ExperimentNotFound``."""
    state = session.scalar(sa.select(ExperimentRow.state).where(ExperimentRow.id == experiment_id))
    if state is None:
        raise ExperimentNotFound(f"No experiment has the id {experiment_id}.")
    return state


def tasks_of(session: Session, experiment_id: UUID) -> list[TaskRead]:
    """Tasks in topological order."""
    state_of(session, experiment_id)
    rows = session.execute(
        sa.select(TaskRow, ExperimentTaskRow.reused, TaskLeaseRow.progress, TaskLeaseRow.stage)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
        .outerjoin(TaskLeaseRow, TaskLeaseRow.task_id == TaskRow.id)
        .where(ExperimentTaskRow.experiment_id == experiment_id)
        .order_by(ExperimentTaskRow.position)
    ).all()
    return [
        TaskRead(
            key=task.key,
            kind=task.kind,
            state=task.state,
            params=task.params,
            attempts=task.attempts,
            progress=1.0 if task.state is TaskState.SUCCEEDED else progress or 0.0,
            stage=stage or "",
            worker=task.worker,
            queued_at=task.queued_at,
            started_at=task.started_at,
            ended_at=task.ended_at,
            seconds=task.seconds if task.state is TaskState.SUCCEEDED else None,
            error_class=task.error_class,
            error=task.error,
            reused=reused,
        )
        for task, reused, progress, stage in rows
    ]


def results_of(session: Session, experiment_id: UUID) -> Results:
    """Every measurement so far, in the order planned."""
    state = state_of(session, experiment_id)
    rows = session.execute(
        sa.select(TaskRow.key, MeasurementRow.body)
        .join(TaskRow, TaskRow.id == MeasurementRow.task_id)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
        .where(ExperimentTaskRow.experiment_id == experiment_id)
        .order_by(ExperimentTaskRow.position, MeasurementRow.position)
    ).all()
    return Results(
        experiment_id=experiment_id,
        is_complete=state is ExperimentState.SUCCEEDED,
        items=[
            ResultRow(
                task_key=row.key,
                measurement=Measurement.model_validate_json(canonical_json(row.body)),
            )
            for row in rows
        ],
    )


def artifacts_of(session: Session, experiment_id: UUID) -> list[ArtifactRead]:
    """Every artifact so far, in the order planned."""
    state_of(session, experiment_id)
    rows = session.execute(
        sa.select(TaskRow.key, TaskRow.kind, ArtifactRow)
        .join(TaskRow, TaskRow.id == ArtifactRow.task_id)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
        .where(ExperimentTaskRow.experiment_id == experiment_id)
        .order_by(ExperimentTaskRow.position, ArtifactRow.name)
    ).all()
    return [
        ArtifactRead(task_key=key, task_kind=kind, name=row.name, ref=ref_of_row(row))
        for key, kind, row in rows
    ]


def artifact_of(session: Session, experiment_id: UUID, task_key: TaskKey, name: str) -> ArtifactRef:
    """One artifact of the experiment, or ``ArtifactNotFound``."""
    state_of(session, experiment_id)
    row = session.scalars(
        sa.select(ArtifactRow)
        .join(TaskRow, TaskRow.id == ArtifactRow.task_id)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
        .where(
            ExperimentTaskRow.experiment_id == experiment_id,
            TaskRow.key == task_key,
            ArtifactRow.name == name,
        )
    ).one_or_none()
    if row is None:
        raise ArtifactNotFound("The experiment has no such artifact.")
    return ref_of_row(row)


def events_of(session: Session, experiment_id: UUID, *, after: int, limit: int) -> list[EventRead]:
    """Events with ids above ``after``, rising: the experiment's own and those of its tasks."""
    state_of(session, experiment_id)
    mine = sa.select(ExperimentTaskRow.task_id).where(
        ExperimentTaskRow.experiment_id == experiment_id
    )
    rows = session.execute(
        sa.select(EventRow, TaskRow.key)
        .outerjoin(TaskRow, TaskRow.id == EventRow.task_id)
        .where(
            EventRow.id > after,
            sa.or_(EventRow.experiment_id == experiment_id, EventRow.task_id.in_(mine)),
        )
        .order_by(EventRow.id)
        .limit(limit)
    ).all()
    return [
        EventRead(id=event.id, at=event.at, kind=event.kind, task_key=key, data=event.data)
        for event, key in rows
    ]


def ref_of_row(row: ArtifactRow | sa.Row[Any]) -> ArtifactRef:
    """The reference a stored row holds."""
    return ArtifactRef(sha256=row.sha256, size_bytes=row.size_bytes, media_type=row.media_type)
