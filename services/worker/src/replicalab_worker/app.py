"""Composition root: handlers, engine and settings meet here."""

from replicalab.domain.tasks import Queue
from replicalab.engine.service import run_service
from replicalab_worker.pipelines.registry import handlers
from replicalab_worker.settings import WorkerSettings


def main() -> None:
    """Serve the worker queue until SIGTERM."""
    run_service(Queue.WORKER, handlers, WorkerSettings())
