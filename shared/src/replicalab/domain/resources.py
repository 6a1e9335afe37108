"""What the service shows of itself: the answers of the REST interface, shared with the SDK."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.exports import Origin
from replicalab.domain.measures import Measurement
from replicalab.domain.priorities import Priority
from replicalab.domain.specs import Spec
from replicalab.domain.states import EventKind, ExperimentState, TaskState
from replicalab.domain.tasks import Queue, TaskKey, TaskKind


class Resource(BaseModel):
    """An answer; clients ignore fields they do not know, so that servers may grow."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class UsageRead(Resource):
    """Compute charged to a user; failures of the installation are not."""

    owner: str
    total_seconds: float
    recent_seconds: float = Field(description="Old use fades with a half-life of a day.")
    quota_seconds: float | None = Field(description="Limit of the total; null: none.")


class WorkerRead(Resource):
    """A node: a machine, or one of its GPUs, that runs tasks of one queue."""

    node: str
    queue: Queue
    version: str
    protocol: int | None = Field(
        default=None, description="Rules of the engine it follows; null: it is too old to say."
    )
    kinds: dict[str, int] | None = Field(
        default=None, description="Versions of the kinds that it makes; null: it does not say."
    )
    unlike_kinds: tuple[TaskKind, ...] = Field(
        default=(),
        description="Kinds of its queue that it does not make as this gateway plans them: such "
        "tasks are left to other workers.",
    )
    device: str
    first_seen_at: datetime
    last_seen_at: datetime
    running_tasks: int
    lost_in_a_row: int = Field(description="Attempts lost since the last success.")
    drained_at: datetime | None = Field(description="Out of service since; null: in service.")
    drain_reason: str | None


class Progress(Resource):
    """How far an experiment is."""

    tasks_total: int
    tasks_done: int
    fraction: float = Field(ge=0, le=1, description="Of the expected work, running tasks included.")
    stage: str = Field(description="What runs now, in words; empty when nothing runs.")
    eta_seconds: float | None = Field(
        description="Expected remaining time from measured speeds; null while unknown."
    )


class ExperimentRead(Resource):
    """Envelope (id, state, times) and substance (spec) of an experiment."""

    id: UUID
    project_id: UUID = DEFAULT_PROJECT_ID
    owner: str
    state: ExperimentState
    spec: Spec
    created_at: datetime
    ended_at: datetime | None
    progress: Progress
    priority: Priority = Priority.NORMAL
    is_held: bool = Field(default=False, description="Waiting tasks stay where they are.")
    origin: Origin | None = Field(
        default=None, description="Of an imported experiment; null: it ran here."
    )
    reused_tasks: int = Field(description="Tasks that were already done or under way at submit.")


class ExperimentSummary(Resource):
    """An experiment in a list."""

    id: UUID
    project_id: UUID = DEFAULT_PROJECT_ID
    owner: str
    name: str
    kind: str
    state: ExperimentState
    created_at: datetime
    ended_at: datetime | None


class ExperimentPage(Resource):
    """One page of a list, newest first."""

    items: list[ExperimentSummary]
    next_cursor: str | None = Field(description="Pass as ``cursor`` for the next page.")


class TaskRead(Resource):
    """A task of an experiment."""

    key: TaskKey
    kind: TaskKind
    state: TaskState
    params: dict[str, object]
    attempts: int
    progress: float = Field(ge=0, le=1)
    stage: str
    worker: str | None
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None = Field(description="Compute time of the successful attempt.")
    error_class: str | None
    error: str | None
    reused: bool = Field(description="Done or under way before this experiment was submitted.")


class ArtifactRead(Resource):
    """An artifact of an experiment; its bytes are at ``.../artifacts/{task_key}/{name}``."""

    task_key: TaskKey
    task_kind: TaskKind
    name: str
    ref: ArtifactRef


class ResultRow(Resource):
    """One measurement and the task that made it."""

    task_key: TaskKey
    measurement: Measurement


class Results(Resource):
    """All measurements of an experiment so far."""

    experiment_id: UUID
    is_complete: bool
    items: list[ResultRow]


class PlannedTask(Resource):
    """A task as planned, and whether its result is already there."""

    key: TaskKey
    kind: TaskKind
    parents: list[TaskKey]
    cache: Literal["hit", "shared", "miss"] = Field(
        description="Done before; under way for another experiment; or to be done."
    )


class PlanRead(Resource):
    """What submitting a specification would do."""

    tasks: list[PlannedTask]
    evaluations: int = Field(description="Network evaluations (NFE) of all reconstructions.")
    cache_hits: int
    eta_seconds: float | None = Field(
        description="Expected time on one worker from measured speeds; null while unknown."
    )


class EventRead(Resource):
    """Something that happened to an experiment; ids rise."""

    id: int
    at: datetime
    kind: str = Field(
        description="'experiment-state', 'experiment-change' (its hold or priority), 'task-state' "
        "or 'task-progress'.",
        examples=[EventKind.TASK_STATE.value],
    )
    task_key: TaskKey | None
    data: dict[str, object]


class ProblemItem(Resource):
    """One thing that is wrong with a request."""

    in_: Literal["body", "query", "path", "header"] = Field(alias="in")
    pointer: str = Field(description="RFC 6901 pointer into the body, or /<parameter>.")
    code: str = Field(examples=["out-of-range"])
    detail: str


class ProblemRead(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Address of a page that says what to do.")
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    code: str | None = Field(default=None, description="The last part of ``type``.")
    request_id: str | None = Field(default=None, description="Under which the log knows it.")
    errors: list[ProblemItem] | None = Field(default=None, description="Of an invalid request.")
