"""Composition root: handlers, engine and settings meet here."""

from functools import partial

from replicalab.domain.tasks import Queue
from replicalab.engine.service import run_service
from replicalab.file_errors import WeightsUnavailable
from replicalab_worker.downloads import fetch
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.registry import handlers
from replicalab_worker.settings import WorkerSettings


def main() -> None:
    """Serve the worker queue until SIGTERM."""
    settings = WorkerSettings()
    weights = settings.weights
    published = PinnedFolder(
        weights.folder, WeightsUnavailable, fetch if weights.may_download else None
    )
    run_service(Queue.WORKER, partial(handlers, published), settings)
