"""Commands that run the embedded stack."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from rich.console import Console

from replicalab.cli import tables
from replicalab.cli.exits import ExitCode
from replicalab.cli.progress import follow
from replicalab.cli.specifications import preset
from replicalab.client.connection import (
    TOKEN_VARIABLE,
    URL_VARIABLE,
    Connection,
    connection_file,
    forget_connection,
    save_connection,
)
from replicalab.client.lab import Lab
from replicalab.domain.artifacts import REPORT, RESULTS_CSV
from replicalab.domain.resources import PlanRead
from replicalab.domain.states import ExperimentState
from replicalab.errors import InvalidRequest
from replicalab.stack.embedded import EmbeddedStack
from replicalab.stack.state import default_data_folder


@contextmanager
def _running_stack(
    console: Console, data: Path | None, port: int | None
) -> Iterator[EmbeddedStack]:
    """A stack that answers; what was started here is stopped again, whatever happens."""
    with EmbeddedStack(data or default_data_folder(), port) as stack:
        try:
            stack.start(on_message=lambda line: console.print(line, style="dim", markup=False))
            yield stack
        except KeyboardInterrupt:
            console.print(
                "\nInterrupted. What is done is kept; the same command goes on from there."
            )
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def up(console: Console, data: Path | None, port: int | None) -> None:
    """Run the stack until Ctrl-C."""
    with _running_stack(console, data, port) as stack:
        if not stack.is_owner:
            console.print(f"A stack runs already at {stack.url}.", highlight=False)
            return
        connection = Connection(stack.url, stack.token)
        save_connection(connection, connection_file())
        try:
            console.print(
                f"The stack runs at {stack.url}; the commands of this user find it by themselves."
                f"\nFor others:\n  export {URL_VARIABLE}={stack.url}"
                f"\n  export {TOKEN_VARIABLE}={stack.token}\nCtrl-C stops it.",
                highlight=False,
                soft_wrap=True,
            )
            with suppress(KeyboardInterrupt):
                stack.wait()
        finally:
            forget_connection(connection, connection_file())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(
            f"{folder} cannot be the folder of the report: {error.strerror}. Choose another: "
            "--output."
        ) from error


def demo(
    console: Console, notes: Console, data: Path | None, port: int | None, output: Path
) -> None:
    """Run the digits study from nothing to a report."""
    began = time.monotonic()
    _make_folder(output)  # before minutes of work, not after them
    with (
        _running_stack(notes, data, port) as stack,
        Lab(stack.url, stack.token) as lab,
    ):
        spec = preset("digits")
        plan = lab.validate(spec)
        experiment = lab.submit(spec)
        notes.print(f"submitted {spec.name!r} as {experiment.id}", highlight=False)
        ended = follow(notes, lab.watch(experiment))
        if ended.state is not ExperimentState.SUCCEEDED:
            tables.show_failures(notes, lab.tasks(ended))
            raise typer.Exit(ExitCode.FAILED)
        results = lab.results(ended)
        for table in tables.result_tables(results.items, console.width):
            console.print(table)
        report = lab.download(ended, REPORT, output)
        results.to_csv(output / RESULTS_CSV)
        console.print(_summary(plan, time.monotonic() - began), highlight=False)
        for path in (report, output / RESULTS_CSV):
            console.print(f"  {path.absolute()}", highlight=False, soft_wrap=True)


def _summary(plan: PlanRead, seconds: float) -> str:
    """How long it took, and how much of it was there before: the plan was asked for first."""
    total, hits = len(plan.tasks), plan.cache_hits
    if hits == total:
        origin = f"all {total} tasks answered from the cache"
    elif hits:
        origin = f"{hits} of {total} tasks answered from the cache"
    else:
        origin = f"all {total} tasks computed now"
    return f"Done in {seconds:.0f} s ({origin}). Report and table:"
