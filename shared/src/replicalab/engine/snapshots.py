"""An experiment as it stands, with the progress of its tasks: read in one statement."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from replicalab.db.database import Asks
from replicalab.db.tables import EXPERIMENTS
from replicalab.domain.priorities import Priority
from replicalab.domain.resources import ExperimentRead
from replicalab.domain.specs import STORED_SPEC
from replicalab.engine.exports import origin_of
from replicalab.engine.progress import STANDINGS, Speeds, progress_of, standings_of
from replicalab.errors import ExperimentNotFound

_READ = sa.select(
    EXPERIMENTS.c.id,
    EXPERIMENTS.c.project_id,
    EXPERIMENTS.c.owner_id,
    EXPERIMENTS.c.owner,
    EXPERIMENTS.c.state,
    sa.cast(EXPERIMENTS.c.spec, sa.Text).label("spec"),
    EXPERIMENTS.c.created_at,
    EXPERIMENTS.c.ended_at,
    EXPERIMENTS.c.priority,
    EXPERIMENTS.c.held_at,
    EXPERIMENTS.c.origin,
    EXPERIMENTS.c.reused_tasks,
    STANDINGS.label("standings"),
).where(EXPERIMENTS.c.id == sa.bindparam("experiment"))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An experiment at one moment, and the id of whoever submitted it, if they are known."""

    owner_id: UUID | None
    experiment: ExperimentRead


def snapshot_of(asked: Asks, experiment_id: UUID, speeds: Speeds) -> Snapshot:
    """The experiment now, or ``ExperimentNotFound``."""
    row = asked.execute(_READ, {"experiment": experiment_id}).one_or_none()
    if row is None:
        raise not_found(experiment_id)
    return Snapshot(
        row.owner_id,
        ExperimentRead(
            id=row.id,
            project_id=row.project_id,
            owner=row.owner,
            state=row.state,
            spec=STORED_SPEC.validate_json(row.spec),
            created_at=row.created_at,
            ended_at=row.ended_at,
            progress=progress_of(standings_of(row.standings), speeds.measured(asked)),
            priority=Priority.of_rank(row.priority),
            is_held=row.held_at is not None,
            origin=origin_of(row),
            reused_tasks=row.reused_tasks,
        ),
    )


def not_found(experiment_id: UUID) -> ExperimentNotFound:
    """What is raised where there is no such experiment."""
    return ExperimentNotFound(f"No experiment has the id {experiment_id}.")
