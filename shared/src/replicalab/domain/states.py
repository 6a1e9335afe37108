"""The life of a task and of an experiment."""

from collections.abc import Iterable, Mapping
from enum import StrEnum, unique

from replicalab.errors import IllegalTransition


@unique
class TaskState(StrEnum):
    """Where a task stands."""

    BLOCKED = "blocked"
    QUEUED = "queued"
    RUNNING = "running"
    RETRY_WAIT = "retry-wait"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"
    UPSTREAM_FAILED = "upstream-failed"

    @property
    def is_terminal(self) -> bool:
        """No arrow leaves the state; a retry makes a new generation of the task."""
        return not TRANSITIONS[self]

    def to(self, target: "TaskState") -> "TaskState":
        """Return ``target``, or raise ``IllegalTransition`` when no arrow leads there."""
        if target not in TRANSITIONS[self]:
            raise IllegalTransition(f"A {self} task cannot become {target}.")
        return target


_OPEN_ENDS = frozenset({TaskState.CANCELLED})

TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.BLOCKED: frozenset({TaskState.QUEUED, TaskState.UPSTREAM_FAILED}) | _OPEN_ENDS,
    TaskState.QUEUED: frozenset({TaskState.RUNNING, TaskState.FAILED}) | _OPEN_ENDS,
    TaskState.RUNNING: frozenset(
        {
            TaskState.QUEUED,
            TaskState.RETRY_WAIT,
            TaskState.SUCCEEDED,
            TaskState.FAILED,
            TaskState.QUARANTINED,
        }
    )
    | _OPEN_ENDS,
    TaskState.RETRY_WAIT: frozenset({TaskState.QUEUED}) | _OPEN_ENDS,
    TaskState.QUARANTINED: frozenset({TaskState.QUEUED}) | _OPEN_ENDS,
    TaskState.SUCCEEDED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
    TaskState.UPSTREAM_FAILED: frozenset(),
}


def sources_of(target: TaskState) -> frozenset[TaskState]:
    """The states from which an arrow leads to ``target``."""
    return frozenset(source for source in TaskState if target in TRANSITIONS[source])


@unique
class ExperimentState(StrEnum):
    """Where an experiment stands: it follows from its tasks, unless it was cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NEEDS_ATTENTION = "needs-attention"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in {
            ExperimentState.SUCCEEDED,
            ExperimentState.FAILED,
            ExperimentState.CANCELLED,
        }


class EventKind(StrEnum):
    """What an event of an experiment tells of."""

    EXPERIMENT_STATE = "experiment-state"
    EXPERIMENT_CHANGE = "experiment-change"
    """Of its hold or its priority."""

    TASK_STATE = "task-state"
    TASK_PROGRESS = "task-progress"


def experiment_state(tasks: Iterable[TaskState], *, old: ExperimentState) -> ExperimentState:
    """The state that follows for an experiment in ``old`` whose tasks stand in ``tasks``.

    A terminal state stays. One that has begun never goes back to ``queued``, though all of its
    tasks may wait again.
    """
    if old.is_terminal:
        return old
    states = frozenset(tasks)
    waiting = {TaskState.RUNNING, TaskState.QUEUED, TaskState.RETRY_WAIT}
    if states == {TaskState.SUCCEEDED}:
        return ExperimentState.SUCCEEDED
    if states & waiting or (TaskState.BLOCKED in states and TaskState.QUARANTINED not in states):
        has_begun = states & {TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.RETRY_WAIT}
        is_first = old is ExperimentState.QUEUED and not has_begun
        return ExperimentState.QUEUED if is_first else ExperimentState.RUNNING
    if TaskState.QUARANTINED in states:
        return ExperimentState.NEEDS_ATTENTION
    return ExperimentState.FAILED
