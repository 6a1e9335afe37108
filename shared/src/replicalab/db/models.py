"""Tables. PostgreSQL is the truth: what is not here did not happen.

Times are the database's, through ``rl_now()``: the wall clock plus a shift that tests set.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from replicalab.db.accounts import ProjectRow, UserRow
from replicalab.db.datasets import DatasetRow as DatasetRow
from replicalab.db.generators import GeneratorRow as GeneratorRow
from replicalab.db.installation import InstallationRow as InstallationRow
from replicalab.db.installation import WorkerRow as WorkerRow
from replicalab.db.schema import NOW as NOW
from replicalab.db.schema import Base as Base
from replicalab.db.storage import DamageRow as DamageRow
from replicalab.db.uploads import UploadRow as UploadRow
from replicalab.db.webhooks import WebhookRow as WebhookRow
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.priorities import Priority
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import Queue, TaskKind


class ExperimentRow(Base):
    """A submitted specification: envelope and substance."""

    __tablename__ = "experiments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey(ProjectRow.id), default=DEFAULT_PROJECT_ID
    )
    owner_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey(UserRow.id))
    owner: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    spec: Mapped[dict[str, Any]]
    state: Mapped[ExperimentState] = mapped_column(default=ExperimentState.QUEUED)
    reused_tasks: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int] = mapped_column(sa.SmallInteger, default=Priority.NORMAL.rank)
    held_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    ended_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    origin: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    archive_sha256: Mapped[str | None] = mapped_column(sa.String(64))

    __table_args__ = (
        sa.UniqueConstraint("project_id", "archive_sha256"),
        sa.Index(None, "state", "id"),
        sa.Index(None, "project_id", "id"),
        sa.Index(None, "owner_id", "id"),
        sa.CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)",
            name="ended_when_terminal",
        ),
    )


class TaskRow(Base):
    """A unit of work. At most one living generation of a key exists, whoever asks for it."""

    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(64))
    generation: Mapped[int] = mapped_column(default=1)
    kind: Mapped[TaskKind]
    kind_version: Mapped[int | None]
    queue: Mapped[Queue]
    params: Mapped[dict[str, Any]]
    inputs: Mapped[list[dict[str, Any]]]
    work: Mapped[float]
    owner: Mapped[str]
    priority: Mapped[int] = mapped_column(sa.SmallInteger, default=Priority.NORMAL.rank)
    held: Mapped[bool] = mapped_column(default=False)
    state: Mapped[TaskState]
    unmet: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    epoch: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    worker: Mapped[str | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    queued_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    dispatched_at: Mapped[datetime | None]
    dispatches: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    seconds: Mapped[float | None]
    error_class: Mapped[str | None]
    error: Mapped[str | None]
    evicted_at: Mapped[datetime | None]

    __table_args__ = (
        sa.UniqueConstraint("key", "generation"),
        sa.Index(
            "uq_tasks_living_key",
            "key",
            unique=True,
            postgresql_where=sa.text(
                "state NOT IN ('failed', 'cancelled', 'upstream-failed') AND evicted_at IS NULL"
            ),
        ),
        sa.Index(
            "ix_tasks_waiting",
            "queue",
            "priority",
            "owner",
            "id",
            postgresql_where=sa.text("state = 'queued' AND dispatched_at IS NULL AND NOT held"),
        ),
        sa.Index(
            "ix_tasks_under_way",
            "queue",
            "dispatched_at",
            postgresql_where=sa.text(
                "state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL)"
            ),
        ),
        sa.Index("ix_tasks_open", "owner", postgresql_where=sa.text("ended_at IS NULL")),
        sa.Index("ix_tasks_pace", "queue", "id", postgresql_where=sa.text("state = 'succeeded'")),
        sa.Index(
            "ix_tasks_unversioned",
            "id",
            postgresql_where=sa.text("kind_version IS NULL AND ended_at IS NULL"),
        ),
        sa.Index("ix_tasks_retry", "not_before", postgresql_where=sa.text("state = 'retry-wait'")),
        sa.Index("ix_tasks_speed", "kind", "id", postgresql_where=sa.text("state = 'succeeded'")),
        sa.CheckConstraint("(state = 'running') = (worker IS NOT NULL)", name="running_has_worker"),
        sa.CheckConstraint(
            "(state = 'blocked') = (unmet > 0) OR state NOT IN "
            "('blocked', 'queued', 'running', 'retry-wait', 'succeeded')",
            name="blocked_has_unmet",
        ),
        sa.CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled', 'upstream-failed'))"
            " = (ended_at IS NOT NULL)",
            name="ended_when_terminal",
        ),
    )


class TaskEdgeRow(Base):
    """``child`` reads what ``parent`` writes."""

    __tablename__ = "task_edges"

    parent_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks.id"), primary_key=True)
    child_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks.id"), primary_key=True, index=True)


class ExperimentTaskRow(Base):
    """An experiment needs a task; tasks are shared."""

    __tablename__ = "experiment_tasks"

    experiment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("experiments.id"), primary_key=True)
    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks.id"), primary_key=True, index=True)
    position: Mapped[int]
    reused: Mapped[bool]


class TaskLeaseRow(Base):
    """Who runs a task and until when it is believed; narrow, because beats write it often."""

    __tablename__ = "task_leases"

    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(sa.BigInteger)
    until: Mapped[datetime]
    progress: Mapped[float] = mapped_column(default=0.0)
    stage: Mapped[str] = mapped_column(default="")

    __table_args__ = (sa.Index(None, "until"), {"postgresql_with": {"fillfactor": 50}})


class UsageRow(Base):
    """Compute charged to a user: all of it, and with old use fading, as of ``counted_at``."""

    __tablename__ = "usage"

    owner: Mapped[str] = mapped_column(primary_key=True)
    total_seconds: Mapped[float] = mapped_column(default=0.0)
    decayed_seconds: Mapped[float] = mapped_column(default=0.0)
    counted_at: Mapped[datetime] = mapped_column(server_default=NOW)
    quota_seconds: Mapped[float | None]


class AttemptRow(Base):
    """One run of a task by one worker, kept for ever."""

    __tablename__ = "attempts"

    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    worker: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error_class: Mapped[str | None]
    error: Mapped[str | None]

    __table_args__ = (
        sa.Index(
            "uq_attempts_one_success",
            "task_id",
            unique=True,
            postgresql_where=sa.text("outcome = 'succeeded'"),
        ),
    )


class CheckpointRow(Base):
    """A saved state of an unfinished task; the newest of a key is where the next attempt begins."""

    __tablename__ = "checkpoints"

    task_key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    epoch: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(sa.String(64))
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    outputs: Mapped[list[dict[str, Any]]]
    saved_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ArtifactRow(Base):
    """An output of a succeeded task; bytes without a row do not exist for users."""

    __tablename__ = "artifacts"

    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(sa.String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    media_type: Mapped[str]


class MeasurementRow(Base):
    """A number with its sample size, spread and recipe."""

    __tablename__ = "measurements"

    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    body: Mapped[dict[str, Any]]


class EventRow(Base):
    """What happened, in order; feeds the event streams."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    kind: Mapped[str]
    experiment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("experiments.id"))
    task_id: Mapped[int | None] = mapped_column(sa.ForeignKey("tasks.id"))
    data: Mapped[dict[str, Any]]

    __table_args__ = (
        sa.Index(None, "experiment_id", "id"),
        sa.Index(None, "task_id", "id"),
        sa.CheckConstraint("(experiment_id IS NULL) <> (task_id IS NULL)", name="about_one_thing"),
    )


class IdempotencyRow(Base):
    """The first answer to a key: the same request gets it again."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    body_sha256: Mapped[str] = mapped_column(sa.String(64))
    experiment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("experiments.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
