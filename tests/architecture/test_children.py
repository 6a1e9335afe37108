"""The process that runs tasks loads nothing that only the process beside it needs."""

import subprocess
import sys

import pytest

PROGRAM = "import replicalab.engine.child, {}, sys; print(*sys.modules)"
OF_THE_SERVICE = {"celery", "redis", "sqlalchemy", "psycopg", "replicalab.db"}


@pytest.mark.parametrize(
    "module",
    [
        "replicalab_worker.__main__",
        "replicalab_metrics.__main__",
    ],
)
def test_a_child_loads_neither_the_database_nor_the_broker(module: str) -> None:
    """Spawned, it imports the main module of its parent and the module of its handlers."""
    command = [sys.executable, "-c", PROGRAM.format(module)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert module in loaded.split()
    assert OF_THE_SERVICE.isdisjoint(loaded.split())
