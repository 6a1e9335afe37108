"""How an experiment gets on, live or line by line."""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from replicalab.domain.resources import ExperimentRead

LINE_SECONDS = 5.0
"""Without a terminal, at most one line in so many seconds."""


def _remaining(experiment: ExperimentRead) -> str:
    seconds = experiment.progress.eta_seconds
    if experiment.state.is_terminal:
        return ""
    if seconds is None:
        return "time left unknown"
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min {rest:02d} s left" if minutes else f"about {rest} s left"


def _line(experiment: ExperimentRead) -> str:
    progress = experiment.progress
    parts = [
        f"{experiment.state} {progress.fraction:4.0%}",
        f"{progress.tasks_done}/{progress.tasks_total} tasks",
        progress.stage,
        _remaining(experiment),
    ]
    return "  ".join(part for part in parts if part)


def follow(console: Console, snapshots: Iterable[ExperimentRead]) -> ExperimentRead:
    """Show every snapshot and return the last; on a terminal as a bar, else as few lines."""
    return _follow_live(console, snapshots) if console.is_terminal else _follow(console, snapshots)


def _follow(console: Console, snapshots: Iterable[ExperimentRead]) -> ExperimentRead:
    last: ExperimentRead | None = None
    shown_at = -LINE_SECONDS
    for last in snapshots:
        if last.state.is_terminal or time.monotonic() - shown_at >= LINE_SECONDS:
            shown_at = time.monotonic()
            console.print(_line(last), markup=False, highlight=False, soft_wrap=True)
    return _ended(last)


def _follow_live(console: Console, snapshots: Iterable[ExperimentRead]) -> ExperimentRead:
    last: ExperimentRead | None = None
    columns = (
        TextColumn("{task.fields[state]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[tasks]} tasks"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[stage]}", markup=False),
    )
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("", total=1.0, state="", tasks="", left="", stage="")
        for last in snapshots:
            progress = last.progress
            bars.update(
                bar,
                completed=progress.fraction,
                state=last.state.value,
                tasks=f"{progress.tasks_done}/{progress.tasks_total}",
                left=_remaining(last),
                stage=progress.stage,
            )
    return _ended(last)


def _ended(last: ExperimentRead | None) -> ExperimentRead:
    if last is None:
        raise ValueError("there was nothing to follow")
    return last
