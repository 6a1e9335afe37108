"""Composition root: handlers, engine and settings meet here."""

from functools import partial

from replicalab.domain.tasks import Queue
from replicalab.engine.service import run_service
from replicalab.file_errors import DatasetUnavailable, FileUnavailable, WeightsUnavailable
from replicalab_worker.downloads import fetch
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.registry import handlers
from replicalab_worker.settings import DatasetSettings, WeightsSettings, WorkerSettings


def main() -> None:
    """Serve the worker queue until SIGTERM."""
    settings = WorkerSettings()
    datasets = _folder(settings.datasets, DatasetUnavailable)
    weights = _folder(settings.weights, WeightsUnavailable)
    load = partial(
        handlers, datasets, weights, settings.training_processes, settings.import_memory_bytes
    )
    run_service(Queue.WORKER, load, settings)


def _folder(
    settings: DatasetSettings | WeightsSettings, problem: type[FileUnavailable]
) -> PinnedFolder:
    return PinnedFolder(settings.folder, problem, fetch if settings.may_download else None)
