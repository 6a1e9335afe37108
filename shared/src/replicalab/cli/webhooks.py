"""What ``replicalab webhooks`` prints."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicalab.domain.webhook_resources import DeliveryRead, NewWebhookRead, WebhookRead


def show_webhooks(console: Console, webhooks: Iterable[WebhookRead]) -> None:
    """Print a table of webhooks."""
    table = Table("id", "address", "told of", "owner", "service")
    for webhook in webhooks:
        service = "in service"
        if webhook.disabled_at is not None:
            service = f"out since {webhook.disabled_at:%Y-%m-%d %H:%M}: {webhook.disabled_reason}"
        table.add_row(
            str(webhook.id),
            Text(webhook.url),
            ", ".join(webhook.events),
            Text(webhook.owner),
            Text(service),
        )
    console.print(table)


def show_deliveries(console: Console, deliveries: Iterable[DeliveryRead]) -> None:
    """Print a table of deliveries."""
    table = Table("id", "event", "state", "attempts", "since", "next", "last problem")
    for delivery in deliveries:
        table.add_row(
            str(delivery.id),
            Text(delivery.event),
            delivery.state,
            str(delivery.attempts),
            f"{delivery.created_at:%Y-%m-%d %H:%M:%S}",
            "" if delivery.next_at is None else f"{delivery.next_at:%Y-%m-%d %H:%M:%S}",
            Text(delivery.error or ""),
        )
    console.print(table)


def show_secret(console: Console, notes: Console, webhook: NewWebhookRead) -> None:
    """Print a secret alone on standard output, so that it can be piped into a keeper."""
    notes.print(f"Webhook {webhook.id}. Its secret is not shown again:", highlight=False)
    console.print(webhook.secret, highlight=False, soft_wrap=True)
