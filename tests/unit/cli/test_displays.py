"""What people see: panels, progress, tables."""

import io
from datetime import UTC, datetime
from uuid import UUID

import pytest
from rich.console import Console

from replicalab.cli.panels import show_error
from replicalab.cli.progress import follow
from replicalab.cli.tables import experiments_table, result_tables, show_experiment
from replicalab.domain.measures import Interval, Measurement, Reference
from replicalab.domain.resources import (
    ExperimentRead,
    ExperimentSummary,
    Progress,
    ResultRow,
    TaskRead,
)
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import TaskKind
from replicalab.errors import InvalidRequest


def console_of(width: int, *, is_terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def snapshot(fraction: float, eta_seconds: float | None) -> ExperimentRead:
    is_done = fraction == 1
    return ExperimentRead(
        id=UUID(int=1),
        owner="lab",
        state=ExperimentState.SUCCEEDED if is_done else ExperimentState.RUNNING,
        spec=ExperimentSpec(name="study", t_re=(0, 9)),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ended_at=None,
        progress=Progress(
            tasks_total=60,
            tasks_done=round(60 * fraction),
            fraction=fraction,
            stage="" if is_done else "reconstruct [t_re 9]",
            eta_seconds=eta_seconds,
        ),
        reused_tasks=0,
    )


def row(name: str, t_re: int | None, value: float, reference: Reference | None = None) -> ResultRow:
    measurement = Measurement(
        name=name,
        t_re=t_re,
        reference=reference,
        value=value,
        unit="nats" if name == "entropy" else "1",
        n=3,
        n_unit="seeds",
        interval=Interval(low=value - 0.125, high=value + 0.125, method="student-t"),
    )
    return ResultRow(task_key="0" * 64, measurement=measurement)


def test_an_error_says_what_where_and_what_to_do() -> None:
    console = console_of(100)
    item = {"pointer": "/t_re/1", "detail": "must be [bold]finite[/]"}
    show_error(console, InvalidRequest("Why [it] failed.", errors=[item], request_id="r-1"))
    text = shown(console)
    for part in (
        "The request is not valid",
        "Why [it] failed.",
        "/t_re/1  must be [bold]finite[/]",
        "What to do: Correct what the detail",
        "request id r-1",
    ):
        assert part in text


def test_without_a_terminal_progress_is_a_few_plain_lines() -> None:
    console = console_of(80)
    last = follow(console, [snapshot(0.0, None), snapshot(0.25, 75), snapshot(1, 0)])
    assert last.state is ExperimentState.SUCCEEDED
    assert shown(console).splitlines() == [
        "running   0%  0/60 tasks  reconstruct [t_re 9]  time left unknown",
        "succeeded 100%  60/60 tasks",
    ]


def test_on_a_terminal_progress_is_a_bar() -> None:
    console = console_of(120, is_terminal=True)
    follow(console, [snapshot(0.25, 75), snapshot(0.5, 30)])
    text = shown(console)
    assert "50 %  30/60 tasks" in text
    assert "about 30 s left" in text
    assert "reconstruct [t_re 9]" in text


def test_results_have_a_line_per_t_re_with_value_interval_and_n() -> None:
    console = console_of(200)
    rows = [
        row("accuracy", 9, 0.5),
        row("accuracy", 0, 0.75),
        row("recall", 9, 0.25, Reference.TEST),
        row("entropy", 9, 1.5),
        row("explained", None, 0.5),
    ]
    (table,) = result_tables(rows, console.width)
    console.print(table)
    text = shown(console)
    assert text.index("0.75") < text.index("0.5 ")
    for part in ("accuracy", "recall", "test", "nats", "0.75 [0.625, 0.875]", "n = 3 seeds"):
        assert part in text
    assert "explained" not in text


@pytest.mark.parametrize(("width", "tables"), [(40, 5), (80, 3), (200, 1)])
def test_results_are_cut_into_tables_that_fit(width: int, tables: int) -> None:
    rows = [row(f"measure {number}", 9, 0.5) for number in range(5)]
    console = console_of(width)
    found = list(result_tables(rows, width))
    for table in found:
        console.print(table)
    assert len(found) == tables
    assert "…" not in shown(console)
    assert shown(console).count("[0.375, 0.625]") == 5


def test_an_n_that_differs_stands_with_its_value() -> None:
    console = console_of(80)
    other = row("accuracy", 9, 0.5).measurement.model_copy(update={"n": 2})
    rows = [row("accuracy", 0, 0.5), ResultRow(task_key="0" * 64, measurement=other)]
    (table,) = result_tables(rows, console.width)
    console.print(table)
    assert shown(console).count("n = 3 seeds") == shown(console).count("n = 2 seeds") == 1


def test_there_may_be_no_results() -> None:
    assert list(result_tables([], 80)) == []


def test_values_of_single_seeds_do_not_pass_for_those_of_a_set() -> None:
    rows = [row("accuracy", 0, 0.5), row("seed_accuracy", 0, 0.25), row("seed_accuracy", 0, 0.75)]
    (table,) = result_tables(rows, 80)
    console = console_of(80)
    console.print(table)
    assert "seed_accuracy" not in shown(console)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_ids_in_a_list_can_be_copied_however_narrow_it_is(width: int) -> None:
    experiment = ExperimentSummary(
        id=UUID("01a217ff-9170-7508-a9ff-1c8378188c38"),
        owner="lab",
        name="a name that takes room",
        kind="generator-training",
        state=ExperimentState.NEEDS_ATTENTION,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ended_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    console = console_of(width)
    console.print(experiments_table([experiment]))
    assert str(experiment.id) in shown(console)
    assert "…" not in shown(console)


def test_kinds_of_tasks_are_not_cut_however_narrow_it_is() -> None:
    console = console_of(60)
    task = TaskRead(
        key="0" * 64,
        kind=TaskKind.TRAIN_CLASSIFIER,
        state=TaskState.UPSTREAM_FAILED,
        params={"t_re": 18},
        attempts=0,
        progress=0.0,
        stage="",
        worker=None,
        queued_at=None,
        started_at=None,
        ended_at=None,
        seconds=None,
        error_class=None,
        error=None,
        reused=False,
    )
    show_experiment(console, snapshot(1.0, None), [task], [])
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown(console)
