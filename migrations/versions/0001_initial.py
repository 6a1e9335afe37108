"""The first schema: experiments, tasks, leases, artifacts, measurements, events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The only clock: the server's wall clock (not the start of the transaction), plus a shift that
    # tests set instead of sleeping.
    op.execute(
        """
        CREATE FUNCTION rl_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
            SELECT clock_timestamp()
                 + coalesce(nullif(current_setting('replicalab.clock_shift', true), ''), '0')::interval
        $$
        """
    )
    # Fencing epochs come from one sequence for all tasks, so that no restored row can reissue one.
    op.execute("CREATE SEQUENCE fence")
    op.create_table(
        "experiments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "running",
                "succeeded",
                "failed",
                "needs-attention",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reused_tasks", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("rl_now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)",
            name=op.f("ck_experiments_ended_when_terminal"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
    )
    op.create_index(op.f("ix_experiments_state_id"), "experiments", ["state", "id"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "prepare-dataset",
                "train-generator",
                "reconstruct",
                "train-classifier",
                "embed",
                "evaluate",
                "project",
                "report",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "queue",
            sa.Enum(
                "worker",
                "metrics",
                name="queue",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("inputs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("work", sa.Double(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "blocked",
                "queued",
                "running",
                "retry-wait",
                "succeeded",
                "failed",
                "quarantined",
                "cancelled",
                "upstream-failed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("unmet", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("rl_now()"),
            nullable=False,
        ),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatches", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("error_class", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("evicted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'blocked') = (unmet > 0) OR state NOT IN ('blocked', 'queued', 'running', 'retry-wait', 'succeeded')",
            name=op.f("ck_tasks_blocked_has_unmet"),
        ),
        sa.CheckConstraint(
            "(state = 'running') = (worker IS NOT NULL)", name=op.f("ck_tasks_running_has_worker")
        ),
        sa.CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled', 'upstream-failed')) = (ended_at IS NOT NULL)",
            name=op.f("ck_tasks_ended_when_terminal"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("key", "generation", name=op.f("uq_tasks_key_generation")),
    )
    op.create_index(
        "ix_tasks_queued",
        "tasks",
        ["queue", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_tasks_retry",
        "tasks",
        ["not_before"],
        unique=False,
        postgresql_where=sa.text("state = 'retry-wait'"),
    )
    op.create_index(
        "ix_tasks_speed",
        "tasks",
        ["kind", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'succeeded'"),
    )
    op.create_index(
        "uq_tasks_living_key",
        "tasks",
        ["key"],
        unique=True,
        postgresql_where=sa.text(
            "state NOT IN ('failed', 'cancelled', 'upstream-failed') AND evicted_at IS NULL"
        ),
    )
    op.create_table(
        "artifacts",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_artifacts_task_id_tasks")),
        sa.PrimaryKeyConstraint("task_id", "name", name=op.f("pk_artifacts")),
    )
    op.create_index(op.f("ix_artifacts_sha256"), "artifacts", ["sha256"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("rl_now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("error_class", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_attempts_task_id_tasks")),
        sa.PrimaryKeyConstraint("task_id", "epoch", name=op.f("pk_attempts")),
    )
    op.create_index(
        "uq_attempts_one_success",
        "attempts",
        ["task_id"],
        unique=True,
        postgresql_where=sa.text("outcome = 'succeeded'"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("rl_now()"), nullable=False
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=True),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "(experiment_id IS NULL) <> (task_id IS NULL)", name=op.f("ck_events_about_one_thing")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_events_experiment_id_experiments")
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_events_task_id_tasks")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(
        op.f("ix_events_experiment_id_id"), "events", ["experiment_id", "id"], unique=False
    )
    op.create_index(op.f("ix_events_task_id_id"), "events", ["task_id", "id"], unique=False)
    op.create_table(
        "experiment_tasks",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_experiment_tasks_experiment_id_experiments"),
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_experiment_tasks_task_id_tasks")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "task_id", name=op.f("pk_experiment_tasks")),
    )
    op.create_index(
        op.f("ix_experiment_tasks_task_id"), "experiment_tasks", ["task_id"], unique=False
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("rl_now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_idempotency_keys_experiment_id_experiments"),
        ),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "measurements",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_measurements_task_id_tasks")
        ),
        sa.PrimaryKeyConstraint("task_id", "position", name=op.f("pk_measurements")),
    )
    op.create_table(
        "task_edges",
        sa.Column("parent_id", sa.BigInteger(), nullable=False),
        sa.Column("child_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["child_id"], ["tasks.id"], name=op.f("fk_task_edges_child_id_tasks")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["tasks.id"], name=op.f("fk_task_edges_parent_id_tasks")
        ),
        sa.PrimaryKeyConstraint("parent_id", "child_id", name=op.f("pk_task_edges")),
    )
    op.create_index(op.f("ix_task_edges_child_id"), "task_edges", ["child_id"], unique=False)
    op.create_table(
        "task_leases",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_leases_task_id_tasks")
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_task_leases")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(op.f("ix_task_leases_until"), "task_leases", ["until"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_task_leases_until"), table_name="task_leases")
    op.drop_table("task_leases")
    op.drop_index(op.f("ix_task_edges_child_id"), table_name="task_edges")
    op.drop_table("task_edges")
    op.drop_table("measurements")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_experiment_tasks_task_id"), table_name="experiment_tasks")
    op.drop_table("experiment_tasks")
    op.drop_index(op.f("ix_events_task_id_id"), table_name="events")
    op.drop_index(op.f("ix_events_experiment_id_id"), table_name="events")
    op.drop_table("events")
    op.drop_index(
        "uq_attempts_one_success",
        table_name="attempts",
        postgresql_where=sa.text("outcome = 'succeeded'"),
    )
    op.drop_table("attempts")
    op.drop_index(op.f("ix_artifacts_sha256"), table_name="artifacts")
    op.drop_table("artifacts")
    op.drop_index(
        "uq_tasks_living_key",
        table_name="tasks",
        postgresql_where=sa.text(
            "state NOT IN ('failed', 'cancelled', 'upstream-failed') AND evicted_at IS NULL"
        ),
    )
    op.drop_index(
        "ix_tasks_speed", table_name="tasks", postgresql_where=sa.text("state = 'succeeded'")
    )
    op.drop_index(
        "ix_tasks_retry", table_name="tasks", postgresql_where=sa.text("state = 'retry-wait'")
    )
    op.drop_index(
        "ix_tasks_queued", table_name="tasks", postgresql_where=sa.text("state = 'queued'")
    )
    op.drop_table("tasks")
    op.drop_index(op.f("ix_experiments_state_id"), table_name="experiments")
    op.drop_table("experiments")
    op.execute("DROP SEQUENCE fence")
    op.execute("DROP FUNCTION rl_now()")
