"""``replicalab storage``, with its options."""

from typing import Annotated

import typer

storage = typer.Typer(
    name="storage",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show damaged artifacts, remove what nobody needs.",
)


@storage.command()
def show(context: typer.Context) -> None:
    """Show damaged artifacts and marked orphans."""
    from rich.console import Console

    from replicalab.cli.storage import show_storage
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        show_storage(Console(), lab.storage.get())


@storage.command()
def sweep(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--remove", help="Only say what would be freed.")
    ] = True,
) -> None:
    """Look at every stored object.

    With --remove: mark what nothing refers to, and remove what was marked longer than its grace.
    """
    from rich.console import Console

    from replicalab.cli.storage import show_sweep
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        show_sweep(Console(), lab.storage.sweep(dry_run=dry_run))
