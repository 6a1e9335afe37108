"""Files that people send in parts."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _listed(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("kind", _listed("kind", "dataset", "generator"), nullable=False),
        sa.Column("declared_sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("store_upload_id", sa.String(), nullable=False),
        sa.Column("state", _listed("state", "open", "completed", "aborted"), nullable=False),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.rl_now()),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("cleaned_at", time),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_uploads_project_id_projects"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_uploads_owner_id_users"),
        sa.CheckConstraint("cleaned_at IS NULL OR state = 'aborted'", name="aborted_when_cleaned"),
    )
    op.create_index(
        "ix_uploads_living",
        "uploads",
        ["owner_id"],
        postgresql_where=sa.text("cleaned_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("uploads")
