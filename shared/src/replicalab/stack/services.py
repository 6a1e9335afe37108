"""The services of an embedded stack: their environment and their commands."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from replicalab.stack.processes import MARK_VARIABLE, Program
from replicalab.stack.state import DataFolder

DATABASE_URL = "REPLICALAB_DATABASE__URL"
BROKER_URL = "REPLICALAB_BROKER__URL"
STORE_KIND = "REPLICALAB_STORE__KIND"

GATEWAY = "gateway"
MODULES = {
    "scheduler": "replicalab_api.scheduler",
    "worker": "replicalab_worker",
    "metrics": "replicalab_metrics",
    GATEWAY: "replicalab_api",
}
"""In the order in which they start: the gateway, whose answer means "ready", comes last."""

# One machine has no network between its parts, so silence means death much sooner.
IMPATIENT = {
    "REPLICALAB_ENGINE__LEASE_SECONDS": "10",
    "REPLICALAB_ENGINE__BEAT_SECONDS": "2",
    "REPLICALAB_ENGINE__POLL_SECONDS": "2",
    "REPLICALAB_ENGINE__REDISPATCH_SECONDS": "10",
    "REPLICALAB_ENGINE__CANCEL_GRACE_SECONDS": "5",
}


def service_environment(
    data: DataFolder, *, mark: str, port: int, database_url: str, broker_url: str
) -> dict[str, str]:
    """The environment of every service; what the user has set wins over our defaults."""
    store = (
        {}
        if STORE_KIND in os.environ
        else {STORE_KIND: "local", "REPLICALAB_STORE__FOLDER": str(data.path / "artifacts")}
    )
    return {
        **IMPATIENT,
        **os.environ,
        **store,
        DATABASE_URL: database_url,
        BROKER_URL: broker_url,
        "REPLICALAB_TOKEN": data.token(),
        "REPLICALAB_PORT": str(port),
        MARK_VARIABLE: mark,
        "PYTHONUNBUFFERED": "1",
    }


def service_program(name: str, environment: Mapping[str, str], log: Path) -> Program:
    """The program of one service; the working directory cannot shadow its modules."""
    return Program(name, [sys.executable, "-P", "-m", MODULES[name]], environment, log)
