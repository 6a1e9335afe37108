"""Commands about imported data sets."""

from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicalab.cli.imports import ImportCommands
from replicalab.client.lab import Lab
from replicalab.domain.dataset_resources import DatasetRead
from replicalab.domain.datasets import DatasetRecipe

SHOWN_CLASSES = 12


class DatasetCommands(ImportCommands[DatasetRead]):
    """Each method is a command; consoles as for experiments."""

    columns = ("classes", "train / test")

    def __init__(self, lab: Lab, console: Console, notes: Console) -> None:
        super().__init__(lab.datasets, lab, console, notes)

    def import_file(
        self,
        file: Path,
        name: str | None,
        licence: str,
        recipe: DatasetRecipe,
        project: UUID | None,
        *,
        is_awaited: bool,
    ) -> None:
        """Upload and print the id; wait and print what came of it if asked to."""
        self._bring(
            lambda report: self._lab.datasets.import_file(
                file,
                name=name or file.stem,
                licence=licence,
                recipe=recipe,
                project=project,
                on_progress=report,
            ),
            is_awaited=is_awaited,
        )

    def _cells(self, thing: DatasetRead) -> tuple[str, ...]:
        if (form := thing.form) is None:
            return ("", "")
        return (str(len(form.class_names)), f"{form.train_images:,} / {form.test_images:,}")

    def _describe(self, thing: DatasetRead, facts: Table) -> None:
        if thing.recipe.resolution is not None:
            facts.add_row("resized to", f"{thing.recipe.resolution} (middle square, Lanczos)")
        if (form := thing.form) is None:
            return
        facts.add_row("version", form.version)
        facts.add_row("images", f"{form.resolution}x{form.resolution}, {form.channels} channels")
        origin = "of the file" if form.has_own_split else f"drawn, seed {thing.recipe.split_seed}"
        facts.add_row("split", f"{form.train_images:,} train, {form.test_images:,} test ({origin})")
        counts = zip(form.class_names, form.train_counts, form.test_counts, strict=True)
        listed = [f"{name} {train:,} / {test:,}" for name, train, test in counts]
        hidden = len(listed) - SHOWN_CLASSES
        more = [f"and {hidden:,} more"] if hidden > 0 else []
        facts.add_row("classes", Text(", ".join(listed[:SHOWN_CLASSES] + more)))
