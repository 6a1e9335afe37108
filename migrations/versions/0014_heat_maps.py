"""The kind of task that makes heat maps of trained classifiers."""

from alembic import op

revision = "0014"
down_revision = "0013"
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
    "embed-published",
    "train-detector",
)
NEW_KIND = "explain"


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
