"""The services of an embedded stack: their environment and their commands."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replicalab.db.roles import ServiceRole
from replicalab.processors import usable_processors
from replicalab.stack.processes import MARK_VARIABLE, Program
from replicalab.stack.state import DataFolder

DATABASE_URL = "REPLICALAB_DATABASE__URL"
BROKER_URL = "REPLICALAB_BROKER__URL"
STORE_KIND = "REPLICALAB_STORE__KIND"

THREADS = "OMP_NUM_THREADS"
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
GPUS = Path("/proc/driver/nvidia/gpus")
MOST_WORKERS = 4

GATEWAY = "gateway"

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
        "REPLICALAB_PEPPER": data.pepper(),
        "REPLICALAB_PORT": str(port),
        MARK_VARIABLE: mark,
        "PYTHONUNBUFFERED": "1",
    }


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the stack: a module, its login, and what its environment has of its own."""

    name: str
    module: str
    role: ServiceRole
    variables: Mapping[str, str] = field(default_factory=dict)

    def program(self, environment: Mapping[str, str], log: Path) -> Program:
        """How to run it; the working directory cannot shadow its modules."""
        command = [sys.executable, "-P", "-m", self.module]
        return Program(self.name, command, {**self.variables, **environment}, log)


def services_of_this_machine(processors: int | None = None, gpus: Path = GPUS) -> list[Service]:
    """The services in the order in which they start; the gateway, ready when all are, comes last.

    One worker a GPU. Without one, a worker a processor, each with one thread: small networks gain
    more from working side by side than from sharing each operation, and threads that wait for
    each other lose much where other programs run as well.

    Args:
        processors: How many processors to use; by default all that are allowed.
        gpus: Where the driver lists its cards.
    """
    cards = len(list(gpus.iterdir())) if gpus.is_dir() else 0
    processors = processors or usable_processors()
    if cards:
        workers = [{VISIBLE_GPUS: str(card)} for card in range(cards)]
    else:
        number = min(processors, MOST_WORKERS)
        workers = [{THREADS: str(processors // number)}] * number
    return [
        Service("scheduler", "replicalab_api.scheduler", ServiceRole.SCHEDULER),
        *(
            Service(f"worker-{number}", "replicalab_worker", ServiceRole.RUNNER, variables)
            for number, variables in enumerate(workers, start=1)
        ),
        Service(
            "metrics",
            "replicalab_metrics",
            ServiceRole.RUNNER,
            {THREADS: "1", "OPENBLAS_NUM_THREADS": "1"},
        ),
        Service(GATEWAY, "replicalab_api", ServiceRole.GATEWAY),
    ]
