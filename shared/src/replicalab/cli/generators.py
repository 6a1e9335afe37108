"""Commands about imported generators."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from replicalab.cli.exits import ExitCode
from replicalab.cli.progress import follow
from replicalab.client.lab import Lab
from replicalab.domain.generator_resources import GeneratorRead, GeneratorState

_STYLES: Mapping[GeneratorState, str] = {
    GeneratorState.READY: "green",
    GeneratorState.IMPORTING: "cyan",
    GeneratorState.NEEDS_ATTENTION: "yellow",
    GeneratorState.REFUSED: "red",
    GeneratorState.FAILED: "red",
}


class GeneratorCommands:
    """Each method is a command; consoles as for experiments."""

    def __init__(self, lab: Lab, console: Console, notes: Console) -> None:
        self._lab = lab
        self._console = console
        self._notes = notes

    def import_file(
        self,
        file: Path,
        name: str | None,
        licence: str,
        description: Path | None,
        project: UUID | None,
        *,
        is_awaited: bool,
    ) -> None:
        """Upload and print the id; wait and print what came of it if asked to."""
        columns = (TextColumn("uploading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._notes, transient=True) as bars:
            bar = bars.add_task("")
            brought = self._lab.generators.import_file(
                file,
                name=name or file.stem,
                licence=licence,
                description=description,
                project=project,
                on_progress=lambda sent, total: bars.update(bar, completed=sent, total=total),
            )
        self._console.print(str(brought.id), highlight=False)
        if is_awaited:
            self._wait(brought)

    def _wait(self, brought: GeneratorRead) -> None:
        """Exit code 1 unless it is ready."""
        follow(self._notes, self._lab.watch(brought.experiment_id))
        ended = self._lab.generators.wait(brought)
        self._notes.print(_facts(ended))
        if ended.state is not GeneratorState.READY:
            raise typer.Exit(ExitCode.FAILED)

    def list(self, name: str | None) -> None:
        """Print every generator."""
        table = Table("id", "name", "state", "licence", "images", "classes", "imported")
        for item in self._lab.generators.list(name=name):
            form = item.form
            table.add_row(
                str(item.id),
                Text(item.name),
                Text(item.state, style=_STYLES[item.state]),
                Text(item.licence),
                "" if form is None else f"{form.resolution}x{form.resolution}x{form.channels}",
                "" if form is None else str(form.classes),
                f"{item.created_at.astimezone():%Y-%m-%d %H:%M}",
            )
        self._console.print(table)

    def show(self, generator: str) -> None:
        """Print everything about one generator."""
        self._console.print(_facts(self._lab.generators.find(generator)))

    def delete(self, generator: str) -> None:
        """Delete and say so."""
        found = self._lab.generators.find(generator)
        self._lab.generators.delete(found)
        self._console.print(f"{found.id} deleted", highlight=False)


def _facts(generator: GeneratorRead) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("name", Text(generator.name))
    facts.add_row("id", str(generator.id))
    facts.add_row("state", Text(generator.state, style=_STYLES[generator.state]))
    if generator.problem:
        facts.add_row("problem", Text(generator.problem))
    facts.add_row("licence", Text(generator.licence))
    facts.add_row("file", f"{generator.size_bytes:,} bytes, sha256 {generator.sha256}")
    facts.add_row("imported", f"{generator.created_at.astimezone():%Y-%m-%d} by {generator.owner}")
    if (form := generator.form) is not None:
        size = f"{form.resolution}x{form.resolution}, {form.channels} channels"
        facts.add_row("images", f"{size}, {form.classes or 'no'} classes")
        facts.add_row("network", f"{form.network.kind}, {form.network.channels} channels")
        facts.add_row("preconditioning", form.preconditioning.kind)
    return facts
