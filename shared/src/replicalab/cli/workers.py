"""What ``replicalab workers`` prints."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicalab.domain.resources import WorkerRead


def show_workers(console: Console, workers: Iterable[WorkerRead]) -> None:
    """Print a table of workers."""
    table = Table("worker", "queue", "device", "running", "last seen", "service")
    for worker in workers:
        table.add_row(
            Text(worker.node),
            worker.queue,
            Text(worker.device),
            str(worker.running_tasks),
            f"{worker.last_seen_at:%Y-%m-%d %H:%M:%S}",
            Text(_service(worker)),
        )
    console.print(table)


def _service(worker: WorkerRead) -> str:
    if worker.drained_at is not None:
        return f"out since {worker.drained_at:%Y-%m-%d %H:%M}: {worker.drain_reason}"
    if worker.kinds is None:
        return "in service; too old to say what it makes, update it"
    if worker.unlike_kinds:
        return f"in service, but not for: {', '.join(worker.unlike_kinds)} (another version)"
    return "in service"
