"""What the commands about generators and data sets have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from replicalab.cli.exits import ExitCode
from replicalab.cli.progress import follow
from replicalab.client.imports import Imports, Read
from replicalab.client.lab import Lab
from replicalab.client.uploads import Report
from replicalab.domain.import_states import ImportState

_STYLES: Mapping[ImportState, str] = {
    ImportState.READY: "green",
    ImportState.IMPORTING: "cyan",
    ImportState.NEEDS_ATTENTION: "yellow",
    ImportState.REFUSED: "red",
    ImportState.FAILED: "red",
}


class ImportCommands(ABC, Generic[Read]):
    """Each public method is a command; consoles as for experiments."""

    columns: ClassVar[tuple[str, ...]]
    """Of a list, which only this kind has."""

    def __init__(self, imports: Imports[Read], lab: Lab, console: Console, notes: Console) -> None:
        self._imports: Imports[Read] = imports
        self._lab = lab
        self._console = console
        self._notes = notes

    @abstractmethod
    def _cells(self, thing: Read) -> tuple[str, ...]:
        """What a list shows under ``columns``."""

    @abstractmethod
    def _describe(self, thing: Read, facts: Table) -> None:
        """Add rows about what the file holds."""

    def _bring(self, send: Callable[[Report], Read], *, is_awaited: bool) -> None:
        """Upload and print the id; wait and print what came of it if asked to."""
        columns = (TextColumn("uploading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._notes, transient=True) as bars:
            bar = bars.add_task("")
            brought = send(lambda sent, total: bars.update(bar, completed=sent, total=total))
        self._console.print(str(brought.id), highlight=False)
        if is_awaited:
            self._wait(brought)

    def _wait(self, brought: Read) -> None:
        """Exit code 1 unless it is ready."""
        follow(self._notes, self._lab.watch(brought.experiment_id))
        ended = self._imports.wait(brought)
        self._notes.print(self._facts(ended))
        if ended.state is not ImportState.READY:
            raise typer.Exit(ExitCode.FAILED)

    def list(self, name: str | None) -> None:
        """Print every one whose name has ``name`` in it, ignoring case."""
        table = Table("id", "name", "state", "licence", "images", *self.columns, "imported")
        for item in self._imports.list(name=name):
            form = item.form
            table.add_row(
                str(item.id),
                Text(item.name),
                state_text(item.state),
                Text(item.licence),
                "" if form is None else f"{form.resolution}x{form.resolution}x{form.channels}",
                *self._cells(item),
                f"{item.created_at.astimezone():%Y-%m-%d %H:%M}",
            )
        self._console.print(table)

    def show(self, name_or_id: str) -> None:
        """Print everything about one."""
        self._console.print(self._facts(self._imports.find(name_or_id)))

    def delete(self, name_or_id: str) -> None:
        """Delete and say so."""
        found = self._imports.find(name_or_id)
        self._imports.delete(found)
        self._console.print(f"{found.id} deleted", highlight=False)

    def _facts(self, thing: Read) -> Table:
        facts = Table.grid(padding=(0, 2))
        facts.add_row("name", Text(thing.name))
        facts.add_row("id", str(thing.id))
        facts.add_row("state", state_text(thing.state))
        if thing.problem:
            facts.add_row("problem", Text(thing.problem))
        facts.add_row("licence", Text(thing.licence))
        facts.add_row("file", f"{thing.size_bytes:,} bytes, sha256 {thing.sha256}")
        facts.add_row("imported", f"{thing.created_at.astimezone():%Y-%m-%d} by {thing.owner}")
        self._describe(thing, facts)
        return facts


def state_text(state: ImportState) -> Text:
    """How far an import is, in colour."""
    return Text(state, style=_STYLES[state])
