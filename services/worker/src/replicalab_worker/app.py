"""Composition root: handlers, engine and settings meet here.

The child that runs tasks imports this module for its handlers. It talks to no database and no
broker, so their libraries are loaded only by the process that serves.
"""

from functools import partial

from replicalab.domain.tasks import Queue
from replicalab.engine.handlers import Handlers
from replicalab.file_errors import DatasetUnavailable, WeightsUnavailable
from replicalab_worker.downloads import folder_of
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.settings import CompilePolicy, WorkerSettings


def main() -> None:
    """Serve the worker queue until SIGTERM."""
    from replicalab.engine.service import run_service  # noqa: PLC0415

    settings = WorkerSettings()
    datasets = folder_of(settings.datasets, DatasetUnavailable)
    weights = folder_of(settings.weights, WeightsUnavailable)
    load = partial(
        _handlers,
        datasets,
        weights,
        training_processes=settings.training_processes,
        import_memory_bytes=settings.import_memory_bytes,
        compile_generators=settings.compile_generators,
    )
    run_service(Queue.WORKER, load, settings)


def _handlers(
    datasets: PinnedFolder,
    weights: PinnedFolder,
    *,
    training_processes: int,
    import_memory_bytes: int,
    compile_generators: CompilePolicy,
) -> Handlers:
    """Load torch in the child that runs tasks; this process, which waits for it, needs none."""
    from replicalab_worker.pipelines.registry import handlers  # noqa: PLC0415

    return handlers(datasets, weights, training_processes, import_memory_bytes, compile_generators)
