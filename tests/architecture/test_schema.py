"""The migrations and the models describe the same database."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from replicalab.db.database import Database
from replicalab.db.migrate import config_for, upgrade
from replicalab.db.models import Base

pytestmark = pytest.mark.integration


def test_the_migrations_lead_to_the_models(own_postgres_url: str) -> None:
    database = Database(own_postgres_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_the_migrations_can_be_undone_and_repeated(own_postgres_url: str) -> None:
    command.downgrade(config_for(own_postgres_url), "base")
    upgrade(own_postgres_url)
    upgrade(own_postgres_url)
