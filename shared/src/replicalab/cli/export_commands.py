"""``replicalab export``, ``import-experiment`` and ``verify``, with their options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer


class Artifacts(StrEnum):
    """Which artifacts come along."""

    NONE = "none"
    RESULTS = "results"
    ALL = "all"


Archive = Annotated[Path, typer.Argument(help="The archive, a zip file.")]


def export(
    context: typer.Context,
    experiment: Annotated[UUID, typer.Argument(help="Id of the experiment; it has ended.")],
    file: Archive,
    artifacts: Annotated[
        Artifacts,
        typer.Option(
            help="none: only the report and its figures; results: no image sets and weights."
        ),
    ] = Artifacts.RESULTS,
    licence: Annotated[
        str | None, typer.Option(help="Under which the results may be used.")
    ] = None,
) -> None:
    """Write an experiment to an archive.

    It describes itself (RO-Crate) and is readable without the service.
    """
    from rich.console import Console

    from replicalab.cli.exports import save
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        save(lab, Console(), Console(stderr=True), experiment, file, artifacts.value, licence)


def import_experiment(
    context: typer.Context,
    file: Archive,
    project: Annotated[UUID | None, typer.Option(help="Id of a project.")] = None,
) -> None:
    """Bring an exported experiment here; print its id.

    It looks as where it ran, and never serves other experiments.
    """
    from rich.console import Console

    from replicalab.cli.exports import bring
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        bring(lab, Console(), Console(stderr=True), file, project)


def verify(file: Archive) -> None:
    """Check an archive without any service.

    Every file has the digest that is written down for it, and the documents agree.
    """
    from rich.console import Console

    from replicalab.cli.exports import show
    from replicalab.client.exports import verify as verify_file

    show(Console(), verify_file(file))
