"""``replicalab webhooks``, with its options."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from replicalab.client.webhooks import Webhooks

webhooks = typer.Typer(
    name="webhooks",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Tell addresses when experiments end or need help.",
)

Webhook = Annotated[UUID, typer.Argument(help="Id of the webhook, as `webhooks list` shows it.")]


@contextmanager
def _webhooks(context: typer.Context) -> Iterator["Webhooks"]:
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        yield lab.webhooks


@webhooks.command("list")
def list_webhooks(context: typer.Context) -> None:
    """List the webhooks of your projects, newest first."""
    from rich.console import Console

    from replicalab.cli.webhooks import show_webhooks

    with _webhooks(context) as hooks:
        show_webhooks(Console(), hooks.list())


@webhooks.command()
def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Where to send to.")],
    event: Annotated[
        list[str] | None, typer.Option(help="Such as experiment.failed; may be repeated.")
    ] = None,
    project: Annotated[UUID | None, typer.Option(help="Id; else the default project.")] = None,
    experiment: Annotated[UUID | None, typer.Option(help="Only of this experiment.")] = None,
) -> None:
    """Have an address told, and print the secret of its signatures, this once."""
    from rich.console import Console

    from replicalab.cli.webhooks import show_secret
    from replicalab.domain.accounts import DEFAULT_PROJECT_ID
    from replicalab.domain.webhook_resources import WebhookEvent

    try:
        events = [WebhookEvent(name) for name in event or WebhookEvent]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--event") from error
    with _webhooks(context) as hooks:
        new = hooks.create(
            url,
            events=events,
            project_id=project or DEFAULT_PROJECT_ID,
            experiment_id=experiment,
        )
        show_secret(Console(), Console(stderr=True), new)


@webhooks.command()
def delete(context: typer.Context, webhook: Webhook) -> None:
    """Have an address told nothing any more."""
    with _webhooks(context) as hooks:
        hooks.delete(webhook)


@webhooks.command()
def rotate(context: typer.Context, webhook: Webhook) -> None:
    """Make a new secret and print it, this once; the old one signs too for 24 hours."""
    from rich.console import Console

    from replicalab.cli.webhooks import show_secret

    with _webhooks(context) as hooks:
        show_secret(Console(), Console(stderr=True), hooks.rotate(webhook))


@webhooks.command()
def test(context: typer.Context, webhook: Webhook) -> None:
    """Have an address told webhook.test."""
    with _webhooks(context) as hooks:
        hooks.test(webhook)


@webhooks.command()
def deliveries(context: typer.Context, webhook: Webhook) -> None:
    """List what an address was told, and what came of it."""
    from rich.console import Console

    from replicalab.cli.webhooks import show_deliveries

    with _webhooks(context) as hooks:
        show_deliveries(Console(), hooks.deliveries(webhook))


@webhooks.command()
def redeliver(
    context: typer.Context,
    webhook: Webhook,
    delivery: Annotated[UUID, typer.Argument(help="Id, as `webhooks deliveries` shows it.")],
) -> None:
    """Have something sent again."""
    with _webhooks(context) as hooks:
        hooks.redeliver(webhook, delivery)
