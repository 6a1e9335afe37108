"""``python -m idle_service``: a worker of ReplicaLab, as in production, whose tasks do nothing."""

from replicalab.domain.tasks import PrepareDataset, Queue, TaskKind
from replicalab.engine.handlers import Handlers, TaskContext
from replicalab.engine.service import run_service
from replicalab.settings import ServiceSettings


def handlers() -> Handlers:
    """One kind, whose tasks end at once."""
    return {TaskKind.PREPARE_DATASET: do_nothing}


def do_nothing(_context: TaskContext, _params: PrepareDataset) -> None:
    """No outputs, no measurements: whatever time passes is the engine's."""


if __name__ == "__main__":
    run_service(Queue.WORKER, handlers, ServiceSettings())
