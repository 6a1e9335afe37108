"""What people may ask of webhooks."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.models import Frozen
from replicalab.domain.webhook_resources import WebhookEvent
from replicalab_api.http.paging import Query
from replicalab_api.webhooks.addresses import MAX_URL_CHARACTERS


def _unique(events: tuple[WebhookEvent, ...]) -> tuple[WebhookEvent, ...]:
    return tuple(sorted(set(events)))


class NewWebhook(Frozen):
    """An address to tell."""

    url: str = Field(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        examples=["https://lab.example.org/hooks/replicalab"],
    )
    project_id: UUID = Field(
        default=DEFAULT_PROJECT_ID, description="``id`` of a project; else the default one."
    )
    experiment_id: UUID | None = Field(
        default=None, description="Only of this experiment; else of all of the project."
    )
    events: Annotated[tuple[WebhookEvent, ...], AfterValidator(_unique)] = Field(
        default=tuple(WebhookEvent), min_length=1, max_length=len(WebhookEvent)
    )


class WebhooksQuery(Query):
    """Which webhooks to list."""

    project: UUID | None = Field(default=None, description="Only of this project.")
