"""What ``replicalab export``, ``import-experiment`` and ``verify`` do and print."""

from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from replicalab.client.lab import Lab
from replicalab.crates.reading import ExportArchive


def save(
    lab: Lab,
    console: Console,
    notes: Console,
    experiment: UUID,
    file: Path,
    artifacts: str,
    licence: str | None,
) -> None:
    """Write the archive and print where it is."""
    with Progress(TextColumn("exporting"), DownloadColumn(), console=notes, transient=True) as bars:
        bar = bars.add_task("", total=None)
        saved = lab.exports.save(
            experiment,
            file,
            artifacts=artifacts,
            licence=licence,
            on_progress=lambda arrived: bars.update(bar, completed=arrived),
        )
    console.print(str(saved), highlight=False, soft_wrap=True)


def bring(lab: Lab, console: Console, notes: Console, file: Path, project: UUID | None) -> None:
    """Upload an archive and print the id of its experiment."""
    with Progress(TextColumn("uploading"), DownloadColumn(), console=notes, transient=True) as bars:
        bar = bars.add_task("")
        brought = lab.exports.import_file(
            file,
            project=project,
            on_progress=lambda sent, total: bars.update(bar, completed=sent, total=total),
        )
    console.print(str(brought.id), highlight=False)


def show(console: Console, archive: ExportArchive) -> None:
    """Say that an archive is whole, and what it holds."""
    plan, files = archive.plan, archive.files
    facts = Table.grid(padding=(0, 2))
    facts.add_row("experiment", Text(plan.experiment.name))
    facts.add_row("id", str(plan.experiment.id))
    facts.add_row(
        "ended", f"{plan.experiment.ended_at:%Y-%m-%d %H:%M} UTC, {plan.experiment.state}"
    )
    facts.add_row("by", Text(plan.experiment.owner))
    facts.add_row(
        "exported", Text(f"{plan.exported_at:%Y-%m-%d %H:%M} UTC from {plan.installation}")
    )
    facts.add_row("tasks", str(len(plan.tasks)))
    facts.add_row("measurements", str(len(archive.results.items)))
    facts.add_row("files", f"{len(files)}, {sum(files.values()):,} bytes, every digest is right")
    console.print(facts)
