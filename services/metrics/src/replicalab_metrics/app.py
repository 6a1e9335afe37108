"""Composition root: handlers, engine and settings meet here.

The child that runs tasks imports this module for its handlers. It talks to no database and no
broker, so their libraries are loaded only by the process that serves.
"""

from replicalab.domain.tasks import Queue
from replicalab.engine.handlers import Handlers
from replicalab_metrics.settings import MetricsSettings


def main() -> None:
    """Serve the metrics queue until SIGTERM."""
    from replicalab.engine.service import run_service  # noqa: PLC0415

    run_service(Queue.METRICS, _handlers, MetricsSettings())


def _handlers() -> Handlers:
    """Load the measures in the child that runs tasks; this process, which waits, needs none."""
    from replicalab_metrics.evaluations.registry import handlers  # noqa: PLC0415

    return handlers()
