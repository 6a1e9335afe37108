"""A claimed task: everything its runner must know, read in the transaction of the claim."""

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.tables import ARTIFACTS, TASK_EDGES, TASKS
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.tasks import TASK_PARAMS, TaskInput, TaskKey, TaskParams
from replicalab.engine.details import ref_of_row
from replicalab.storage.checkpoints import Checkpoint

_STORED_BY_PARENTS = (
    sa.select(TASKS.c.key, ARTIFACTS)
    .join(TASK_EDGES, TASK_EDGES.c.parent_id == TASKS.c.id)
    .join(ARTIFACTS, ARTIFACTS.c.task_id == TASKS.c.id)
    .where(TASK_EDGES.c.child_id == sa.bindparam("task"))
)


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A task that this worker, under this epoch, may run.

    ``inputs`` holds (role, artifact) in the order planned; an artifact is None where the
    database does not know it any more. ``checkpoint`` is what an earlier attempt saved last.
    """

    id: int
    key: TaskKey
    epoch: int
    params: TaskParams
    inputs: tuple[tuple[TaskInput, ArtifactRef | None], ...]
    checkpoint: Checkpoint | None = None


def params_of(stored: dict[str, Any]) -> TaskParams:
    """Parameters from their JSON column; JSON rules apply (lists become tuples)."""
    return TASK_PARAMS.validate_json(json.dumps(stored))


def resolve_inputs(
    session: Session, task_id: int, inputs: list[dict[str, Any]]
) -> tuple[tuple[TaskInput, ArtifactRef | None], ...]:
    """The stored artifact behind every input, by the parents' keys."""
    if not inputs:
        return ()
    rows = session.execute(_STORED_BY_PARENTS, {"task": task_id}).all()
    stored = {(row.key, row.name): ref_of_row(row) for row in rows}
    wanted = [TaskInput.model_validate(task_input) for task_input in inputs]
    return tuple((w, stored.get((w.key, w.artifact))) for w in wanted)
