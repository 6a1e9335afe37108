"""``replicalab workers``, with its options."""

from typing import Annotated

import typer

workers = typer.Typer(
    name="workers",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List workers, take one out of service, put it back.",
)

Node = Annotated[str, typer.Argument(help="Name of the worker, as `workers list` shows it.")]


@workers.command("list")
def list_workers(context: typer.Context) -> None:
    """List workers, those seen last first."""
    from rich.console import Console

    from replicalab.cli.workers import show_workers
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        show_workers(Console(), lab.workers.list())


@workers.command()
def drain(
    context: typer.Context,
    node: Node,
    reason: Annotated[str | None, typer.Option(help="Shown to whoever looks.")] = None,
) -> None:
    """Take a worker out of service once its present task has ended."""
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        lab.workers.drain(node, reason=reason)


@workers.command()
def resume(context: typer.Context, node: Node) -> None:
    """Let a worker take tasks again."""
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        lab.workers.resume(node)
