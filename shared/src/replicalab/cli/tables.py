"""Tables of the command line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicalab.domain.measures import Measurement
from replicalab.domain.resources import (
    ArtifactRead,
    ExperimentRead,
    ExperimentSummary,
    PlanRead,
    ResultRow,
    TaskRead,
)
from replicalab.domain.states import ExperimentState, TaskState

STYLES: Mapping[str, str] = {
    ExperimentState.SUCCEEDED: "green",
    ExperimentState.FAILED: "red",
    ExperimentState.NEEDS_ATTENTION: "yellow",
    ExperimentState.RUNNING: "cyan",
    ExperimentState.CANCELLED: "dim",
    TaskState.QUARANTINED: "yellow",
    TaskState.UPSTREAM_FAILED: "dim",
}
VALUE_WIDTH = 26
"""Width of a column of values with intervals, borders included."""

UUID_CHARACTERS = 36

Heading = tuple[str, str, str]
"""Name, reference and unit of a measurement."""


def _state(state: ExperimentState | TaskState) -> Text:
    return Text(state.value, style=STYLES.get(state, ""))


def _time(at: datetime | None) -> str:
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _heading(measurement: Measurement) -> Heading:
    unit = "" if measurement.unit == "1" else measurement.unit
    return measurement.name, measurement.reference or "", unit


def _size(measurement: Measurement) -> str:
    return f"n = {measurement.n} {measurement.n_unit}"


def _cell(measurement: Measurement | None, common_size: str | None) -> str:
    if measurement is None:
        return ""
    parts = [f"{measurement.value:.4g}"]
    if measurement.interval is not None:
        parts.append(f"[{measurement.interval.low:.4g}, {measurement.interval.high:.4g}]")
    if common_size is None:
        parts.append(f"\n{_size(measurement)}")
    return " ".join(parts)


def result_tables(rows: Iterable[ResultRow], width: int) -> Iterator[Table]:
    """One line a ``t_re``: value, interval and n of every measure, in as many tables as fit.

    A column whose values all have the same n says so once, in its heading. Parts of a set (classes,
    tenths) and single seeds, of which a set has several values, are left to files.
    """
    columns: dict[Heading, dict[int, Measurement]] = {}
    for row in rows:
        is_of_one_seed = row.measurement.name.startswith("seed_")
        if row.measurement.t_re is not None and not (row.measurement.part or is_of_one_seed):
            column = columns.setdefault(_heading(row.measurement), {})
            column[row.measurement.t_re] = row.measurement
    sets = sorted({t_re for column in columns.values() for t_re in column})
    headings = list(columns)
    at_once = max(1, (width - 9) // VALUE_WIDTH)
    for first in range(0, len(headings), at_once):
        shown = headings[first : first + at_once]
        yield _result_table({heading: columns[heading] for heading in shown}, sets)


def _result_table(
    columns: Mapping[Heading, Mapping[int, Measurement]], sets: Sequence[int]
) -> Table:
    table = Table("t_re")
    sizes: list[str | None] = []
    for heading, column in columns.items():
        found = {_size(measurement) for measurement in column.values()}
        sizes.append(found.pop() if len(found) == 1 else None)
        parts = [*heading, sizes[-1] or ""]
        table.add_column("\n".join(part for part in parts if part), justify="right")
    for t_re in sets:
        cells = zip((column.get(t_re) for column in columns.values()), sizes, strict=True)
        table.add_row(str(t_re), *(Text(_cell(value, size)) for value, size in cells))
    return table


def experiments_table(experiments: Iterable[ExperimentSummary]) -> Table:
    """One line an experiment; ids are whole however narrow it is, for other commands take them."""
    table = Table()
    table.add_column("id", no_wrap=True, min_width=UUID_CHARACTERS)
    for heading in ("state", "name", "kind", "submitted", "ended"):
        table.add_column(heading, overflow="fold")
    for item in experiments:
        table.add_row(
            str(item.id),
            _state(item.state),
            Text(item.name),
            item.kind,
            _time(item.created_at),
            _time(item.ended_at),
        )
    return table


def show_experiment(
    console: Console,
    experiment: ExperimentRead,
    tasks: Sequence[TaskRead],
    artifacts: Sequence[ArtifactRead],
) -> None:
    """Everything there is to know about one experiment."""
    facts = Table.grid(padding=(0, 2))
    progress = experiment.progress
    facts.add_row("name", Text(experiment.spec.name))
    facts.add_row("id", str(experiment.id))
    facts.add_row("state", _state(experiment.state))
    facts.add_row("submitted", f"{_time(experiment.created_at)} by {experiment.owner}")
    facts.add_row("ended", _time(experiment.ended_at) or "not yet")
    done = f"{progress.tasks_done} of {progress.tasks_total} done"
    facts.add_row("tasks", f"{done}, {experiment.reused_tasks} of them reused")
    console.print(facts)
    console.print(_tasks_table(tasks, artifacts))
    show_failures(console, tasks)


def _tasks_table(tasks: Sequence[TaskRead], artifacts: Sequence[ArtifactRead]) -> Table:
    table = Table()
    for heading in ("task", "kind", "t_re", "state", "attempts", "seconds", "artifacts"):
        table.add_column(heading, overflow="fold")
    for task in tasks:
        names = [artifact.name for artifact in artifacts if artifact.task_key == task.key]
        table.add_row(
            task.key[:12],
            task.kind.value,
            str(task.params.get("t_re", "")),
            _state(task.state),
            str(task.attempts),
            "" if task.seconds is None else f"{task.seconds:.1f}",
            ", ".join(names),
        )
    return table


def show_failures(console: Console, tasks: Iterable[TaskRead]) -> None:
    """Why tasks failed; what never ran because of them is left out."""
    for task in tasks:
        if task.error and task.state in {TaskState.FAILED, TaskState.QUARANTINED}:
            heading = f"{task.kind} {task.key[:12]} {task.state} ({task.error_class})"
            console.print(Text(heading, style="bold red"))
            console.print(Text(task.error))


def plan_table(plan: PlanRead) -> Table:
    """How many tasks of each kind there would be, and how many of them are there already."""
    table = Table("kind", "tasks", "done before", "under way", "to do")
    for kind in dict.fromkeys(task.kind for task in plan.tasks):
        caches = [task.cache for task in plan.tasks if task.kind == kind]
        counts = (len(caches), *(caches.count(cache) for cache in ("hit", "shared", "miss")))
        table.add_row(kind.value, *map(str, counts))
    return table
