"""Reading an experiment that has ended for its archive."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.crates.documents import Export
from replicalab.crates.layout import place_of
from replicalab.db.models import (
    NOW,
    ArtifactRow,
    AttemptRow,
    ExperimentRow,
    ExperimentTaskRow,
    TaskRow,
    WorkerRow,
)
from replicalab.domain.exports import (
    Environment,
    ExportedArtifact,
    ExportedExperiment,
    ExportedPlan,
    ExportedTask,
    Included,
    Origin,
)
from replicalab.domain.tasks import TaskInput
from replicalab.engine.details import ref_of_row, results_of
from replicalab.engine.workers import node_of
from replicalab.errors import ExperimentNotFound
from replicalab.planning.keys import canonical_json, version_of
from replicalab.refusals import ExperimentUnfinished


def export_of(
    session: Session, experiment_id: UUID, *, included: Included, installation: str
) -> Export:
    """Everything about an experiment, as of one moment.

    Args:
        session: A transaction that has read nothing yet.
        experiment_id: Which.
        included: Which artifacts its archive gets.
        installation: How this installation calls itself.

    Raises:
        ExperimentNotFound: There is none.
        ExperimentUnfinished: It has not ended.
    """
    # A cancelled experiment's tasks may go on for another one.
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    row = session.get(ExperimentRow, experiment_id)
    if row is None:
        raise ExperimentNotFound(f"No experiment has the id {experiment_id}.")
    if row.ended_at is None:
        raise ExperimentUnfinished(f"The experiment has not ended: it is {row.state}.")
    plan = ExportedPlan(
        installation=installation,
        service_version=version("replicalab"),
        exported_at=session.execute(sa.select(NOW)).scalar_one(),
        included=included,
        experiment=_envelope(row, row.ended_at),
        tasks=tuple(_tasks(session, experiment_id, included)),
    )
    return Export(plan, row.spec, results_of(session, experiment_id))


def _envelope(row: ExperimentRow, ended_at: datetime) -> ExportedExperiment:
    return ExportedExperiment(
        id=row.id,
        name=row.name,
        kind=row.kind,
        owner=row.owner,
        state=row.state,
        created_at=row.created_at,
        ended_at=ended_at,
        origin=origin_of(row),
    )


def origin_of(row: ExperimentRow | sa.Row[Any]) -> Origin | None:
    """Where an experiment comes from; None: it ran here."""
    return None if row.origin is None else Origin.model_validate_json(canonical_json(row.origin))


def _tasks(session: Session, experiment_id: UUID, included: Included) -> list[ExportedTask]:
    rows = session.execute(
        sa.select(TaskRow, ExperimentTaskRow.reused)
        .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
        .where(ExperimentTaskRow.experiment_id == experiment_id)
        .order_by(ExperimentTaskRow.position)
    ).all()
    mine = sa.select(ExperimentTaskRow.task_id).where(
        ExperimentTaskRow.experiment_id == experiment_id
    )
    artifacts = _artifacts(session, mine)
    environments = _environments(session, mine)
    return [
        _task(task, is_reused, artifacts.get(task.id, ()), environments.get(task.id), included)
        for task, is_reused in rows
    ]


def _artifacts(session: Session, tasks: sa.Select[int]) -> Mapping[int, Sequence[ArtifactRow]]:
    found: dict[int, list[ArtifactRow]] = {}
    for row in session.scalars(
        sa.select(ArtifactRow).where(ArtifactRow.task_id.in_(tasks)).order_by(ArtifactRow.name)
    ):
        found.setdefault(row.task_id, []).append(row)
    return found


def _environments(session: Session, tasks: sa.Select[int]) -> Mapping[int, Environment]:
    """What the register says of the nodes whose attempts have succeeded."""
    attempts = session.execute(
        sa.select(AttemptRow.task_id, AttemptRow.worker).where(
            AttemptRow.task_id.in_(tasks), AttemptRow.outcome == "succeeded"
        )
    ).all()
    nodes = {
        row.node: Environment(version=row.version, device=row.device)
        for row in session.scalars(sa.select(WorkerRow))
    }
    return {
        attempt.task_id: nodes[node]
        for attempt in attempts
        if (node := node_of(attempt.worker)) in nodes
    }


def _task(
    row: TaskRow,
    is_reused: bool,
    artifacts: Sequence[ArtifactRow],
    environment: Environment | None,
    included: Included,
) -> ExportedTask:
    inputs = tuple(TaskInput.model_validate(one) for one in row.inputs)
    return ExportedTask(
        key=row.key,
        kind=row.kind,
        version=version_of(row.key, row.kind, row.params, inputs),
        state=row.state,
        parameters=row.params,
        inputs=inputs,
        is_reused=is_reused,
        attempts=row.attempts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        seconds=row.seconds,
        error_class=row.error_class,
        error=row.error,
        environment=environment,
        artifacts=tuple(_artifact(row, one, included) for one in artifacts),
    )


def _artifact(task: TaskRow, row: ArtifactRow, included: Included) -> ExportedArtifact:
    ref = ref_of_row(row)
    path = place_of(task.kind, task.key, row.name, ref, included)
    return ExportedArtifact(name=row.name, ref=ref, path=path)
