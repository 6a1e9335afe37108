"""How far an experiment is, and when it will be done: from speeds measured here, not promises."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from replicalab.db.database import Asks
from replicalab.db.tables import (
    EXPERIMENT_TASKS,
    EXPERIMENTS,
    TASK_LEASES,
    TASKS,
    as_range,
    constant,
)
from replicalab.domain.resources import Progress
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import QUEUES, TaskKind

_RECENT_TASKS = 40
_CACHE_SECONDS = 3.0

_SHORT_SECONDS = 60.0
"""What the priors put below this is short on any machine, and its ETA is given."""

_PRIOR_SECONDS_PER_WORK: Mapping[TaskKind, float] = {
    TaskKind.PREPARE_DATASET: 3e-4,
    TaskKind.IMPORT_DATASET: 1e-7,
    TaskKind.TRAIN_GENERATOR: 1e-3,
    TaskKind.IMPORT_GENERATOR: 1e-8,
    TaskKind.AVERAGE_GENERATOR: 0.1,
    TaskKind.RECONSTRUCT: 5e-4,
    TaskKind.TRAIN_CLASSIFIER: 3e-4,
    TaskKind.TRAIN_DETECTOR: 4e-4,
    TaskKind.EXPLAIN: 1e-3,
    TaskKind.EMBED: 4e-4,
    TaskKind.EMBED_PUBLISHED: 0.05,
    TaskKind.EVALUATE: 1.0,
    TaskKind.PROJECT: 0.5,
    TaskKind.REPORT: 10.0,
}
"""Seconds per unit of work before anything was measured: the digits study on two CPU cores.

They weigh the stages of a progress bar against each other, always in the same way, so that the
bar never goes back because a speed was measured. An ETA is given once speeds have
been measured for the kinds that make up most of what is left, or when little is left.
"""


@dataclass(frozen=True, slots=True)
class TaskStanding:
    """What progress must know of tasks of one kind in one state.

    Attributes:
        kind: Theirs.
        state: Theirs.
        work: Of all of them.
        progress: Which share of it is done, in [0, 1].
        stage: What the first of them that says so does.
        number: How many they are.
    """

    kind: TaskKind
    state: TaskState
    work: float
    progress: float
    stage: str
    number: int = 1


class Speeds:
    """Seconds per unit of work of every kind, averaged over the latest tasks; cached briefly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._measured: dict[TaskKind, float] = {}
        self._read_at = -_CACHE_SECONDS

    def measured(self, asked: Asks) -> Mapping[TaskKind, float]:
        """Kinds that have run here, with their seconds per unit of work."""
        with self._lock:
            if time.monotonic() - self._read_at >= _CACHE_SECONDS:
                rows = asked.execute(_SPEEDS).all()
                self._measured = {kind: float(speed) for kind, speed in rows if speed is not None}
                self._read_at = time.monotonic()
            return self._measured


def _of_each(value: sa.ColumnElement[Any]) -> aggregate_order_by[Any]:
    """Values in the order planned, so that sums of the same numbers are always the same."""
    return aggregate_order_by(value, EXPERIMENT_TASKS.c.position)


_ALIKE = (
    sa.select(
        TASKS.c.kind,
        TASKS.c.state,
        sa.func.sum(_of_each(TASKS.c.work)).label("work"),
        sa.func.sum(_of_each(TASKS.c.work * TASK_LEASES.c.progress)).label("work_done"),
        sa.func.array_agg(_of_each(TASK_LEASES.c.stage), type_=sa.ARRAY(sa.String))
        .filter(TASK_LEASES.c.stage != "")
        .label("stages"),
        sa.func.count().label("number"),
        sa.func.min(EXPERIMENT_TASKS.c.position).label("position"),
    )
    .select_from(EXPERIMENT_TASKS)
    .join(TASKS, TASKS.c.id == EXPERIMENT_TASKS.c.task_id)
    .outerjoin(TASK_LEASES, TASK_LEASES.c.task_id == TASKS.c.id)
    .where(EXPERIMENT_TASKS.c.experiment_id == EXPERIMENTS.c.id)
    .correlate(EXPERIMENTS)
    .group_by(TASKS.c.kind, TASKS.c.state)
    .subquery()
)
STANDINGS = sa.select(
    sa.func.json_agg(
        aggregate_order_by(
            sa.func.json_build_array(
                _ALIKE.c.kind,
                _ALIKE.c.state,
                _ALIKE.c.work,
                sa.func.coalesce(_ALIKE.c.work_done / sa.func.nullif(_ALIKE.c.work, 0.0), 0.0),
                sa.func.coalesce(_ALIKE.c.stages[1], ""),
                _ALIKE.c.number,
            ),
            _ALIKE.c.position,
        ),
        type_=sa.JSON,
    )
).scalar_subquery()
"""How the tasks of an experiment stand, by kind and state: a column of statements on experiments.

However many tasks there are, few numbers come of them.
"""


def standings_of(found: Sequence[Sequence[Any]] | None) -> list[TaskStanding]:
    """What ``STANDINGS`` has found; None where there are no tasks."""
    return [
        TaskStanding(TaskKind(kind), TaskState(state), *rest) for kind, state, *rest in found or ()
    ]


def progress_of(tasks: Sequence[TaskStanding], measured: Mapping[TaskKind, float]) -> Progress:
    """The progress of an experiment with these tasks."""
    total = sum(_seconds(task, {}) for task in tasks)
    left = sum(_seconds(task, {}) * (1 - _done(task)) for task in tasks)
    fraction = 1 - left / total if total else 1.0
    return Progress(
        tasks_total=sum(task.number for task in tasks),
        tasks_done=_succeeded(tasks),
        fraction=min(max(fraction, 0.0), 1.0),
        stage=_stage(tasks),
        eta_seconds=eta_seconds(tasks, measured),
    )


def eta_seconds(tasks: Sequence[TaskStanding], measured: Mapping[TaskKind, float]) -> float | None:
    """Expected remaining seconds, or None while too little has been measured.

    The queues work side by side; inside one, as many tasks at a time as run now.
    """
    left = [task for task in tasks if not task.state.is_terminal]
    seconds = {id(task): _seconds(task, measured) * (1 - _done(task)) for task in left}
    total = sum(seconds.values())
    known = sum(seconds[id(task)] for task in left if task.kind in measured)
    if known < total / 2 and total > _SHORT_SECONDS:
        return None
    by_queue: dict[str, float] = {}
    running: dict[str, int] = {}
    for task in left:
        queue = QUEUES[task.kind]
        by_queue[queue] = by_queue.get(queue, 0.0) + seconds[id(task)]
        running[queue] = running.get(queue, 0) + task.number * (task.state is TaskState.RUNNING)
    return max((by_queue[queue] / max(running[queue], 1) for queue in by_queue), default=0.0)


def _succeeded(tasks: Sequence[TaskStanding]) -> int:
    return sum(task.number for task in tasks if task.state is TaskState.SUCCEEDED)


def _done(task: TaskStanding) -> float:
    return 1.0 if task.state.is_terminal else task.progress


def _seconds(task: TaskStanding, measured: Mapping[TaskKind, float]) -> float:
    return task.work * measured.get(task.kind, _PRIOR_SECONDS_PER_WORK[task.kind])


def _stage(tasks: Sequence[TaskStanding]) -> str:
    """What runs now, e.g. 'reconstruct 4/18: step 3 of 6'."""
    parts = []
    for kind in dict.fromkeys(t.kind for t in tasks if t.state is TaskState.RUNNING):
        alike = [task for task in tasks if task.kind is kind]
        total = sum(task.number for task in alike)
        details = next((t.stage for t in alike if t.state is TaskState.RUNNING and t.stage), "")
        parts.append(
            f"{kind} {_succeeded(alike) + 1}/{total}" + (f": {details}" if details else "")
        )
    return ", ".join(parts)


def _speed_of(kind: TaskKind) -> sa.Select[TaskKind, float | None]:
    """Seconds per unit of work of the latest tasks of one kind; null where there are none."""
    latest = (
        sa.select(TASKS.c.seconds, TASKS.c.work)
        .where(
            as_range(TASKS.c.kind, sa.literal(kind, TASKS.c.kind.type)),
            TASKS.c.state == constant(TaskState.SUCCEEDED),
            TASKS.c.seconds.is_not(None),  # imported ones ran elsewhere
        )
        .order_by(TASKS.c.kind.desc(), TASKS.c.id.desc())
        .limit(_RECENT_TASKS)
        .subquery()
    )
    return sa.select(
        sa.literal(kind, TASKS.c.kind.type),
        sa.func.sum(latest.c.seconds) / sa.func.sum(latest.c.work),
    )


_SPEEDS = sa.union_all(*map(_speed_of, TaskKind))
