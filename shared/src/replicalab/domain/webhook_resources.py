"""Webhooks: what the service tells addresses that people name, and how far that is."""

from datetime import datetime
from enum import StrEnum, unique
from uuid import UUID

from pydantic import Field

from replicalab.domain.resources import Resource


@unique
class WebhookEvent(StrEnum):
    """What a webhook can be told of."""

    SUCCEEDED = "experiment.succeeded"
    FAILED = "experiment.failed"
    CANCELLED = "experiment.cancelled"
    NEEDS_ATTENTION = "experiment.needs-attention"


TEST_EVENT = "webhook.test"
"""What a test tells; every webhook gets it."""


@unique
class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class WebhookRead(Resource):
    """An address that is told when experiments of a project end, or need somebody."""

    id: UUID
    project_id: UUID
    experiment_id: UUID | None = Field(description="Of this experiment only; null: of all.")
    owner: str
    url: str = Field(
        description="Whole for its owner and maintainers of the project; others see no path, for "
        "it may hold a secret."
    )
    events: list[WebhookEvent]
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None


class NewWebhookRead(WebhookRead):
    """A webhook with the secret that its deliveries are signed with, shown this once."""

    secret: str = Field(description="Store it now; it is not shown again.")


class DeliveryRead(Resource):
    """Something that a webhook is told."""

    id: UUID = Field(description="With ``msg_`` before it, the ``webhook-id`` of the request.")
    webhook_id: UUID
    experiment_id: UUID | None
    event: str
    state: DeliveryState = Field(description="'dead': given up; it can be delivered again.")
    attempts: int
    created_at: datetime
    next_at: datetime | None = Field(description="Of the next attempt.")
    ended_at: datetime | None
    status: int | None = Field(description="HTTP status of the last answer.")
    error: str | None = Field(description="Why the last attempt failed.")
