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
        service = "in service"
        if worker.drained_at is not None:
            service = f"out since {worker.drained_at:%Y-%m-%d %H:%M}: {worker.drain_reason}"
        table.add_row(
            Text(worker.node),
            worker.queue,
            Text(worker.device),
            str(worker.running_tasks),
            f"{worker.last_seen_at:%Y-%m-%d %H:%M:%S}",
            Text(service),
        )
    console.print(table)
