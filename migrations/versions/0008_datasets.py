"""Imported data sets, and the kind of task that imports them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Written out here: a migration must not change when the program does.
OLD_KINDS = (
    "prepare-dataset",
    "train-generator",
    "reconstruct",
    "train-classifier",
    "embed",
    "evaluate",
    "project",
    "report",
    "import-generator",
    "average-generator",
)
NEW_KIND = "import-dataset"


def _set_kinds(kinds: tuple[str, ...], *, is_checked: bool) -> None:
    op.drop_constraint(op.f("ck_tasks_kind"), "tasks", type_="check")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(
        op.f("ck_tasks_kind"),
        "tasks",
        f"kind IN ({listed})",
        postgresql_not_valid=not is_checked,
    )


def upgrade() -> None:
    _set_kinds((*OLD_KINDS, NEW_KIND), is_checked=True)
    op.create_table(
        "datasets",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("recipe", postgresql.JSONB(), nullable=False),
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
            ["project_id"], ["projects.id"], name="fk_datasets_project_id_projects"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_datasets_owner_id_users"),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name="fk_datasets_experiment_id_experiments"
        ),
        sa.UniqueConstraint("project_id", "name", name="uq_datasets_project_id_name"),
    )
    op.create_index("ix_datasets_project_id_id", "datasets", ["project_id", "id"])
    op.create_index("ix_datasets_sha256", "datasets", ["sha256"])
    op.create_index("ix_datasets_experiment_id", "datasets", ["experiment_id"])


def downgrade() -> None:
    op.drop_table("datasets")
    _set_kinds(OLD_KINDS, is_checked=False)  # tasks of the new kind outlive a downgrade
