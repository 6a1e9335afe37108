"""The process that runs tasks loads nothing that few tasks or only the process beside it need."""

import subprocess
import sys

import pytest

PROGRAM = "import replicalab.engine.child, {}, {}, sys; print(*sys.modules)"
OF_THE_SERVICE = {"celery", "redis", "sqlalchemy", "psycopg", "replicalab.db"}
OF_FEW_TASKS = {"scipy.stats", "sklearn", "torchvision", "torch.distributed.run"}


@pytest.mark.parametrize(
    ("module", "handlers"),
    [
        ("replicalab_worker.__main__", "replicalab_worker.pipelines.registry"),
        ("replicalab_metrics.__main__", "replicalab_metrics.evaluations.registry"),
    ],
)
def test_a_child_loads_only_what_most_tasks_need(module: str, handlers: str) -> None:
    """Spawned, it imports the main module of its parent and the module of its handlers."""
    command = [sys.executable, "-c", PROGRAM.format(module, handlers)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert {module, handlers} <= set(loaded.split())
    assert (OF_THE_SERVICE | OF_FEW_TASKS).isdisjoint(loaded.split())
