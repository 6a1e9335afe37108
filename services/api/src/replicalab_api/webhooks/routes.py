"""Routes under /v1/webhooks."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import TypeAdapter

from replicalab import errors, refusals
from replicalab.domain.webhook_resources import DeliveryRead, NewWebhookRead, WebhookRead
from replicalab_api.http.authentication import Caller
from replicalab_api.http.json_bodies import JSON_BODY_ERRORS, JsonBody
from replicalab_api.http.openapi import json_body
from replicalab_api.http.problems import responses
from replicalab_api.webhooks.deliveries import LabDeliveries
from replicalab_api.webhooks.requests import NewWebhook, WebhooksQuery
from replicalab_api.webhooks.visible import LabWebhooks

router = APIRouter(
    prefix="/v1/webhooks",
    tags=["webhooks"],
    responses=responses(errors.DatabaseUnavailable, errors.InvalidRequest),
)


async def _webhooks(request: Request) -> LabWebhooks:
    webhooks: LabWebhooks = request.app.state.webhooks
    return webhooks


async def _deliveries(request: Request) -> LabDeliveries:
    deliveries: LabDeliveries = request.app.state.webhook_deliveries
    return deliveries


NEW: TypeAdapter[NewWebhook] = TypeAdapter(NewWebhook)
Webhooks = Annotated[LabWebhooks, Depends(_webhooks)]
Deliveries = Annotated[LabDeliveries, Depends(_deliveries)]
WebhookId = Annotated[UUID, PathParameter(description="``id`` of the webhook.")]
DeliveryId = Annotated[UUID, PathParameter(description="``id`` of the delivery.")]
NOT_FOUND = responses(refusals.WebhookNotFound)
EXAMPLES = {
    "project": {
        "summary": "Tell when anything in the default project fails or needs somebody",
        "value": {
            "url": "https://lab.example.org/hooks/replicalab",
            "events": ["experiment.failed", "experiment.needs-attention"],
        },
    }
}


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=responses(
        *JSON_BODY_ERRORS,
        errors.ExperimentNotFound,
        refusals.ProjectNotFound,
        refusals.TooManyWebhooks,
        refusals.UnsafeWebhookUrl,
    ),
    openapi_extra=json_body(NEW, EXAMPLES),
)
def create_webhook(
    new: Annotated[NewWebhook, Depends(JsonBody(NEW))],
    caller: Caller,
    webhooks: Webhooks,
    response: Response,
) -> NewWebhookRead:
    """Have an address told of ends; the answer is the only place where its secret is shown."""
    created = webhooks.create(caller, new)
    response.headers["Location"] = f"/v1/webhooks/{created.id}"
    return created


@router.get("")
def list_webhooks(
    query: Annotated[WebhooksQuery, Query()], caller: Caller, webhooks: Webhooks
) -> Sequence[WebhookRead]:
    """Webhooks of your projects, newest first."""
    return webhooks.list(caller, query.project)


@router.get("/{webhook_id:id}", responses=NOT_FOUND)
def get_webhook(webhook_id: WebhookId, caller: Caller, webhooks: Webhooks) -> WebhookRead:
    """A webhook, without its secret."""
    return webhooks.get(caller, webhook_id)


@router.delete("/{webhook_id:id}", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOUND)
def delete_webhook(webhook_id: WebhookId, caller: Caller, webhooks: Webhooks) -> None:
    """Tell it nothing any more, and forget what it was told."""
    webhooks.delete(caller, webhook_id)


@router.post("/{webhook_id}:rotate", responses=NOT_FOUND)
def rotate_webhook_secret(
    webhook_id: WebhookId, caller: Caller, webhooks: Webhooks
) -> NewWebhookRead:
    """Give it a new secret, shown here alone; the old one signs too for 24 hours more."""
    return webhooks.rotate(caller, webhook_id)


@router.post(
    "/{webhook_id}:test",
    status_code=HTTPStatus.ACCEPTED,
    responses=NOT_FOUND | responses(errors.IllegalTransition),
)
def test_webhook(webhook_id: WebhookId, caller: Caller, deliveries: Deliveries) -> DeliveryRead:
    """Tell it ``webhook.test``."""
    return deliveries.test(caller, webhook_id)


@router.get("/{webhook_id}/deliveries", responses=NOT_FOUND)
def list_deliveries(
    webhook_id: WebhookId, caller: Caller, deliveries: Deliveries
) -> Sequence[DeliveryRead]:
    """The newest 200 things that it was told or is to be told, and what came of them."""
    return deliveries.list(caller, webhook_id)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}:redeliver",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        refusals.WebhookNotFound, refusals.DeliveryNotFound, errors.IllegalTransition
    ),
)
def redeliver(
    webhook_id: WebhookId, delivery_id: DeliveryId, caller: Caller, deliveries: Deliveries
) -> DeliveryRead:
    """Send something again, with the same ``webhook-id``, whatever came of it before."""
    return deliveries.redeliver(caller, webhook_id, delivery_id)
