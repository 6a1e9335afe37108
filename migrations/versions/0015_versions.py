"""Which version of its kind a task is, what workers can make, and since when the database counts.

Only adds what earlier programs do not ask for, so that they go on beside it. Open tasks get their
version from the scheduler, a few hundred at a time.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("kind_version", sa.Integer()))
    op.create_index(
        "ix_tasks_unversioned",
        "tasks",
        ["id"],
        postgresql_where=sa.text("kind_version IS NULL AND ended_at IS NULL"),
    )
    op.add_column("workers", sa.Column("protocol", sa.Integer()))
    op.add_column("workers", sa.Column("kinds", postgresql.JSONB()))
    installation = op.create_table(
        "installation",
        sa.Column("id", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("least_protocol", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    op.execute(
        sa.insert(installation).values(id=1, since=sa.func.clock_timestamp(), least_protocol=1)
    )


def downgrade() -> None:
    op.drop_table("installation")
    op.drop_column("workers", "kinds")
    op.drop_column("workers", "protocol")
    op.drop_index("ix_tasks_unversioned", "tasks")
    op.drop_column("tasks", "kind_version")
