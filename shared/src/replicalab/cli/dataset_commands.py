"""The commands of ``replicalab datasets``."""

from pathlib import Path
from typing import Annotated

import typer

datasets = typer.Typer(name="datasets", help="Describe folders of images.", no_args_is_help=True)


@datasets.callback()
def main_options() -> None:
    """Describe folders of images."""


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
