"""Where imported experiments come from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("experiments", sa.Column("origin", postgresql.JSONB()))
    op.add_column("experiments", sa.Column("archive_sha256", sa.String(64)))
    op.create_unique_constraint(
        "uq_experiments_project_id_archive_sha256", "experiments", ["project_id", "archive_sha256"]
    )


def downgrade() -> None:
    # Imported experiments stay, as if they had run here; their tasks are no cache hits anyway.
    op.drop_constraint("uq_experiments_project_id_archive_sha256", "experiments", type_="unique")
    op.drop_column("experiments", "archive_sha256")
    op.drop_column("experiments", "origin")
