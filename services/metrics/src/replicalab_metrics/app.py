"""Composition root: handlers, engine and settings meet here."""

from replicalab.domain.tasks import Queue
from replicalab.engine.service import run_service
from replicalab_metrics.evaluations.registry import handlers
from replicalab_metrics.settings import MetricsSettings


def main() -> None:
    """Serve the metrics queue until SIGTERM."""
    run_service(Queue.METRICS, handlers, MetricsSettings())
