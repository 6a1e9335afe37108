"""Imported generators, and the kind of task that imports them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KINDS = (
    "prepare-dataset",
    "train-generator",
    "reconstruct",
    "train-classifier",
    "embed",
    "evaluate",
    "project",
    "report",
)


def _allow(kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.drop_constraint(op.f("ck_tasks_kind"), "tasks")
    op.create_check_constraint(op.f("ck_tasks_kind"), "tasks", f"kind IN ({listed})")


def upgrade() -> None:
    _allow((*KINDS, "import-generator"))
    op.create_table(
        "generators",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("form", postgresql.JSONB()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.rl_now(),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_generators_project_id_projects"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_generators_owner_id_users"),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name="fk_generators_experiment_id_experiments"
        ),
        sa.UniqueConstraint("project_id", "name", name="uq_generators_project_id_name"),
    )
    op.create_index("ix_generators_project_id_id", "generators", ["project_id", "id"])
    op.create_index("ix_generators_sha256", "generators", ["sha256"])
    op.create_index("ix_generators_experiment_id", "generators", ["experiment_id"])


def downgrade() -> None:
    op.drop_table("generators")
    # Older programs cannot read these; what was imported is lost with the table.
    op.execute(
        "UPDATE tasks SET kind = 'train-generator', evicted_at = rl_now() "
        "WHERE kind = 'import-generator'"
    )
    _allow(KINDS)
