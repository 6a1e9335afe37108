"""Taking a queued task: all that goes with it in one statement, which is built once."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import NOW
from replicalab.db.tables import (
    ATTEMPTS,
    CHECKPOINTS,
    EXPERIMENT_TASKS,
    EXPERIMENTS,
    TASK_LEASES,
    TASKS,
    constant,
)
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.engine.checkpoints import newest_checkpoint
from replicalab.engine.claimed import ClaimedTask, params_of, resolve_inputs
from replicalab.engine.journal import Journal
from replicalab.engine.versions import Claimant, is_made_by
from replicalab.engine.waiting import MAY_BE_TAKEN
from replicalab.engine.workers import is_drained, may_run_elsewhere


def take(
    session: Session, task_id: int, claimant: Claimant, *, lease_seconds: float
) -> ClaimedTask | None:
    """Let ``claimant`` run the task for ``lease_seconds`` (T2); None when it is not to be had.

    Raises:
        pydantic.ValidationError: This program cannot read it; the transaction must not commit.
    """
    claim = {"task": task_id, "lease_seconds": lease_seconds}
    row = session.execute(_claim(claimant), claim).one_or_none()
    if row is None:
        return None
    task = ClaimedTask(
        id=task_id,
        key=row.key,
        epoch=row.epoch,
        params=params_of(row.params),
        inputs=resolve_inputs(session, task_id, row.inputs),
        checkpoint=newest_checkpoint(session, row.key) if row.has_checkpoint else None,
    )
    journal = Journal()
    journal.task(task_id, TaskState.RUNNING, worker=claimant.worker)
    for experiment_id in row.started or ():
        journal.experiment(experiment_id, ExperimentState.RUNNING)
    journal.write(session)
    return task


@cache
def _claim(claimant: Claimant) -> sa.Select[Any]:
    """The task, its lease, its attempt, and the experiments that begin to run with it."""
    worker = claimant.worker
    claimed = (
        sa.update(TASKS)
        .where(
            TASKS.c.id == sa.bindparam("task"),
            MAY_BE_TAKEN,
            ~TASKS.c.cancel_requested,
            is_made_by(claimant),
            ~is_drained(worker),
            ~may_run_elsewhere(worker),
        )
        .values(
            state=TaskState.RUNNING,
            worker=worker,
            epoch=sa.func.nextval("fence"),
            attempts=TASKS.c.attempts + 1,
            started_at=NOW,
        )
        .returning(TASKS.c.id, TASKS.c.epoch, TASKS.c.key, TASKS.c.params, TASKS.c.inputs)
        .cte("claimed")
    )
    until = NOW + sa.func.make_interval(0, 0, 0, 0, 0, 0, sa.bindparam("lease_seconds"))
    lease = sa.insert(TASK_LEASES).from_select(
        ["task_id", "epoch", "until", "progress", "stage"],
        sa.select(claimed.c.id, claimed.c.epoch, until, sa.literal(0.0), sa.literal("")),
    )
    attempt = sa.insert(ATTEMPTS).from_select(
        ["task_id", "epoch", "worker"],
        sa.select(claimed.c.id, claimed.c.epoch, sa.literal(worker)),
    )
    needing = sa.select(EXPERIMENT_TASKS.c.experiment_id).join(
        claimed, claimed.c.id == EXPERIMENT_TASKS.c.task_id
    )
    started = (
        sa.update(EXPERIMENTS)
        .where(
            EXPERIMENTS.c.state == constant(ExperimentState.QUEUED), EXPERIMENTS.c.id.in_(needing)
        )
        .values(state=ExperimentState.RUNNING)
        .returning(EXPERIMENTS.c.id)
        .cte("started")
    )
    return sa.select(
        claimed,
        sa.exists().where(CHECKPOINTS.c.task_key == claimed.c.key).label("has_checkpoint"),
        sa.select(sa.func.array_agg(started.c.id)).scalar_subquery().label("started"),
    ).add_cte(lease.cte("lease"), attempt.cte("attempt"))
