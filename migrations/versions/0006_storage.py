"""What the store's keeper knows: damaged bytes, orphaned objects, positions of its jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    now = sa.func.rl_now()
    op.create_table(
        "damages",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column(
            "damage",
            sa.Enum(
                "corrupt",
                "missing",
                name="damage",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_damages")),
    )
    op.create_table(
        "orphans",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_orphans")),
    )
    op.create_table(
        "storage_jobs",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.String(), nullable=False),
        sa.Column("ran_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_storage_jobs")),
    )


def downgrade() -> None:
    for table in ("storage_jobs", "orphans", "damages"):
        op.drop_table(table)
