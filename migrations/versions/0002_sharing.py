"""Sharing the lab: priority classes, holds, usage, quotas, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    normal = sa.text("1")
    op.add_column(
        "experiments",
        sa.Column("priority", sa.SmallInteger(), nullable=False, server_default=normal),
    )
    op.add_column("experiments", sa.Column("held_at", sa.DateTime(timezone=True)))
    op.add_column("tasks", sa.Column("owner", sa.String(), nullable=False, server_default="lab"))
    op.add_column(
        "tasks", sa.Column("priority", sa.SmallInteger(), nullable=False, server_default=normal)
    )
    op.add_column(
        "tasks", sa.Column("held", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    for table, column in [
        ("experiments", "priority"),
        ("tasks", "owner"),
        ("tasks", "priority"),
        ("tasks", "held"),
    ]:
        op.alter_column(table, column, server_default=None)
    op.drop_index("ix_tasks_queued", table_name="tasks")
    op.create_index(
        "ix_tasks_waiting",
        "tasks",
        ["queue", "priority", "owner", "id"],
        postgresql_where=sa.text("state = 'queued' AND dispatched_at IS NULL AND NOT held"),
    )
    op.create_index(
        "ix_tasks_under_way",
        "tasks",
        ["queue", "dispatched_at"],
        postgresql_where=sa.text(
            "state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL)"
        ),
    )
    op.create_index(
        "ix_tasks_pace", "tasks", ["queue", "id"], postgresql_where=sa.text("state = 'succeeded'")
    )
    op.create_table(
        "usage",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("total_seconds", sa.Double(), nullable=False),
        sa.Column("decayed_seconds", sa.Double(), nullable=False),
        sa.Column(
            "counted_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.rl_now(),
            nullable=False,
        ),
        sa.Column("quota_seconds", sa.Double()),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_usage")),
    )
    op.create_table(
        "workers",
        sa.Column("node", sa.String(), nullable=False),
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
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.rl_now(),
            nullable=False,
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.rl_now(),
            nullable=False,
        ),
        sa.Column("streak", sa.Integer(), nullable=False),
        sa.Column("drained_at", sa.DateTime(timezone=True)),
        sa.Column("drain_reason", sa.String()),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_workers")),
    )


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_table("usage")
    for name in ("ix_tasks_pace", "ix_tasks_under_way", "ix_tasks_waiting"):
        op.drop_index(name, table_name="tasks")
    op.create_index(
        "ix_tasks_queued", "tasks", ["queue", "id"], postgresql_where=sa.text("state = 'queued'")
    )
    for column in ("held", "priority", "owner"):
        op.drop_column("tasks", column)
    for column in ("held_at", "priority"):
        op.drop_column("experiments", column)
