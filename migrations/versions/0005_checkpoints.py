"""Checkpoints of tasks, and the task that chooses the width of an average after training."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
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
)
NEW_KIND = "average-generator"


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
    op.create_table(
        "checkpoints",
        sa.Column("task_key", sa.String(64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("outputs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "saved_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("rl_now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("task_key", "epoch", "number", name=op.f("pk_checkpoints")),
    )
    _set_kinds((*OLD_KINDS, NEW_KIND), is_checked=True)


def downgrade() -> None:
    op.drop_table("checkpoints")
    _set_kinds(OLD_KINDS, is_checked=False)  # tasks of the new kind outlive a downgrade
