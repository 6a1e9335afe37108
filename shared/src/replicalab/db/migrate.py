"""Bring a database to the present schema: ``python -m replicalab.db.migrate``."""

import sys
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config

from replicalab.db.roles import ServiceRole, prepare_logins
from replicalab.settings import MigrationSettings


def migrations_folder() -> Path:
    """Where the Alembic scripts lie: in the wheel, or at the top of a checkout."""
    packaged = Path(str(files("replicalab"))) / "migrations"
    if packaged.is_dir():
        return packaged
    return Path(__file__).parents[4] / "migrations"


def config_for(url: str) -> Config:
    """Alembic's configuration for the database at ``url``."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Run every missing migration; several callers at once wait for each other."""
    command.upgrade(config_for(url), revision)


def main() -> int:
    """Entry point of the one-shot migration container."""
    settings = MigrationSettings()
    url = settings.database.url.get_secret_value()
    upgrade(url)
    if settings.logins is not None:
        prepare_logins(
            url,
            {
                ServiceRole.GATEWAY: settings.logins.gateway.get_secret_value(),
                ServiceRole.SCHEDULER: settings.logins.scheduler.get_secret_value(),
                ServiceRole.RUNNER: settings.logins.runner.get_secret_value(),
            },
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
