"""Alembic's entry: migrations run in one transaction under an advisory lock."""

import os

import sqlalchemy as sa
from alembic import context

from replicalab.db.database import Database
from replicalab.db.models import Base

MIGRATION_LOCK = 7_423_001
"""Two migrations of one database wait for each other on this advisory lock."""


def run() -> None:
    """Migrate the database that the caller, or the environment, names."""
    url = context.config.attributes.get("url") or os.environ["REPLICALAB_DATABASE__URL"]
    database = Database(url, pool_size=1)
    try:
        with database.engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL statement_timeout = '10min'"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            # Whoever comes after a migration that waits for a table waits with it.
            connection.execute(sa.text("SET LOCAL lock_timeout = '3s'"))
            context.configure(connection=connection, target_metadata=Base.metadata)
            context.run_migrations()
    finally:
        database.close()


run()
