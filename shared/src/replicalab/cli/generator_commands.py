"""``replicalab generators``, with its options."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from replicalab.cli.generators import GeneratorCommands

generators = typer.Typer(
    name="generators",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Import generators of others, list and delete them.",
)

Generator = Annotated[str, typer.Argument(help="Name or id of the generator.")]


@contextmanager
def _commands(context: typer.Context) -> Iterator["GeneratorCommands"]:
    from rich.console import Console

    from replicalab.cli.generators import GeneratorCommands
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        yield GeneratorCommands(lab, Console(), Console(stderr=True))


@generators.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="An official snapshot (edm-*.pkl) or a safetensors file.")
    ],
    name: Annotated[
        str | None, typer.Option(help="What experiments call it; the file's name by default.")
    ] = None,
    licence: Annotated[
        str,
        typer.Option(
            prompt="Licence of the weights", help="Of the weights; asked for if left out."
        ),
    ] = "",
    description: Annotated[
        Path | None,
        typer.Option(help="generator.json of a safetensors file; the one beside it by default."),
    ] = None,
    project: Annotated[UUID | None, typer.Option(help="Id of a project.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until a worker has checked and converted it.")
    ] = False,
) -> None:
    """Upload a file; print the id of the generator.

    A worker checks and converts it. Nothing of the file is ever run.
    """
    with _commands(context) as commands:
        commands.import_file(file, name, licence, description, project, is_awaited=wait)


@generators.command("list")
def list_generators(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Only with this text in the name.")] = None,
) -> None:
    """List imported generators with their licences."""
    with _commands(context) as commands:
        commands.list(name)


@generators.command()
def show(context: typer.Context, generator: Generator) -> None:
    """Show a generator: state, licence, form."""
    with _commands(context) as commands:
        commands.show(generator)


@generators.command()
def delete(context: typer.Context, generator: Generator) -> None:
    """Forget a generator and remove its file.

    Results that it made stay.
    """
    with _commands(context) as commands:
        commands.delete(generator)
