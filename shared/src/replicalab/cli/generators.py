"""Commands about imported generators."""

from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table

from replicalab.cli.imports import ImportCommands
from replicalab.client.lab import Lab
from replicalab.domain.generator_resources import GeneratorRead


class GeneratorCommands(ImportCommands[GeneratorRead]):
    """Each method is a command; consoles as for experiments."""

    columns = ("classes",)

    def __init__(self, lab: Lab, console: Console, notes: Console) -> None:
        super().__init__(lab.generators, lab, console, notes)

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
        self._bring(
            lambda report: self._lab.generators.import_file(
                file,
                name=name or file.stem,
                licence=licence,
                description=description,
                project=project,
                on_progress=report,
            ),
            is_awaited=is_awaited,
        )

    def _cells(self, thing: GeneratorRead) -> tuple[str, ...]:
        return ("" if thing.form is None else str(thing.form.classes),)

    def _describe(self, thing: GeneratorRead, facts: Table) -> None:
        if (form := thing.form) is not None:
            size = f"{form.resolution}x{form.resolution}, {form.channels} channels"
            facts.add_row("images", f"{size}, {form.classes or 'no'} classes")
            facts.add_row("network", f"{form.network.kind}, {form.network.channels} channels")
            facts.add_row("preconditioning", form.preconditioning.kind)
