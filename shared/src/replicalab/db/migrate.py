"""Bring a database to the present schema: ``python -m replicalab.db.migrate``."""

import logging
import sys
import time
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError

from replicalab.db.roles import ServiceRole, prepare_logins
from replicalab.settings import MigrationSettings

PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, *(15.0,) * 20)
"""Between two tries: five minutes in all."""

_log = logging.getLogger(__name__)


def migrations_folder() -> Path:
    """Where the Alembic scripts lie: in the wheel, or at the top of a checkout."""
    packaged = Path(str(files("replicalab"))) / "migrations"
    if packaged.is_dir():
        return packaged
    return Path(__file__).parents[4] / "migrations"


def config_for(url: str, scripts: Path | None = None) -> Config:
    """Alembic's configuration for the database at ``url``; ``scripts`` in place of our own."""
    config = Config()
    folder = str(scripts or migrations_folder())
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head", scripts: Path | None = None) -> None:
    """Run every missing migration, or none; several callers at once wait for each other.

    A migration that cannot have a table within seconds lets go of everything, so that requests
    which wait behind it go on, and tries again.

    Raises:
        sqlalchemy.exc.OperationalError: Somebody holds a table throughout; nothing has changed.
    """
    for pause_seconds in PAUSES_SECONDS:
        try:
            command.upgrade(config_for(url, scripts), revision)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            _log.warning("a table is in use; migrating again in %.0f seconds", pause_seconds)
            time.sleep(pause_seconds)
        else:
            return
    command.upgrade(config_for(url, scripts), revision)


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
