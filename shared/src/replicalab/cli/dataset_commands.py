"""The commands of ``replicalab datasets``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from replicalab.cli.datasets import DatasetCommands

datasets = typer.Typer(
    name="datasets",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Import data sets; describe folders of images.",
)

Dataset = Annotated[str, typer.Argument(help="Name or id of the data set.")]


@contextmanager
def _commands(context: typer.Context) -> Iterator["DatasetCommands"]:
    from rich.console import Console

    from replicalab.cli.datasets import DatasetCommands
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        yield DatasetCommands(lab, Console(), Console(stderr=True))


@datasets.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(help="A zip of class folders, an npz of images and labels, or Parquet."),
    ],
    name: Annotated[
        str | None, typer.Option(help="What experiments call it; the file's name by default.")
    ] = None,
    licence: Annotated[
        str,
        typer.Option(prompt="Licence of the images", help="Of the images; asked for if left out."),
    ] = "",
    resolution: Annotated[
        int | None,
        typer.Option(min=8, max=1024, help="Crop to the middle square and resize to so many."),
    ] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Of the split, if the file has none.")] = 0,
    test_share: Annotated[
        float, typer.Option(min=0.001, max=0.9, help="Share to test on, if the file has no split.")
    ] = 0.2,
    project: Annotated[UUID | None, typer.Option(help="Id of a project.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until a worker has checked and read it.")
    ] = False,
) -> None:
    """Upload a file; print the id of the data set.

    A worker checks and reads it; experiments then name it.
    """
    from replicalab.domain.datasets import DatasetRecipe

    recipe = DatasetRecipe(resolution=resolution, split_seed=split_seed, test_share=test_share)
    with _commands(context) as commands:
        commands.import_file(file, name, licence, recipe, project, is_awaited=wait)


@datasets.command("list")
def list_datasets(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Only with this text in the name.")] = None,
) -> None:
    """List imported data sets with their licences."""
    with _commands(context) as commands:
        commands.list(name)


@datasets.command()
def show(context: typer.Context, dataset: Dataset) -> None:
    """Show a data set: state, licence, classes, splits."""
    with _commands(context) as commands:
        commands.show(dataset)


@datasets.command()
def delete(context: typer.Context, dataset: Dataset) -> None:
    """Forget a data set and remove its file.

    Results that were made with it stay.
    """
    with _commands(context) as commands:
        commands.delete(dataset)


@datasets.command()
def describe(
    folder: Annotated[Path, typer.Argument(help="Of class folders, or with train and test.")],
    name: Annotated[
        str | None, typer.Option(help="Its path under the workers' data folder; its name if none.")
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Pixels to resize to; the shortest side if none.")
    ] = None,
    split_seed: Annotated[int, typer.Option(help="Of the split, if the folder has none.")] = 0,
    test_share: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share to test on, if there is no split.")
    ] = 0.2,
) -> None:
    """Print the data set in a folder as JSON, for the field `dataset` of a specification."""
    from replicalab.storage.folder_descriptions import describe as describe_folder

    spec = describe_folder(
        folder, name=name, resolution=resolution, split_seed=split_seed, test_share=test_share
    )
    typer.echo(spec.model_dump_json(indent=2))
