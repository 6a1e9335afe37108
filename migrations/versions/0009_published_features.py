"""The kind of task that computes features of published networks."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Written out here: a migration must not change when the program does.
OLD_KINDS = (
    "prepare-dataset",
    "import-dataset",
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
NEW_KIND = "embed-published"


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


def downgrade() -> None:
    _set_kinds(OLD_KINDS, is_checked=False)  # tasks of the new kind outlive a downgrade
