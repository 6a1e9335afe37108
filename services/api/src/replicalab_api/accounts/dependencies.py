"""What the routes of accounts share."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, TypeAdapter

from replicalab import errors
from replicalab_api.http.json_bodies import JSON_BODY_ERRORS
from replicalab_api.http.openapi import json_body
from replicalab_api.http.problems import responses
from replicalab_api.identity.services import AccountServices

BODY = responses(*JSON_BODY_ERRORS)
USUAL = responses(errors.DatabaseUnavailable, errors.InvalidRequest)


async def _accounts(request: Request) -> AccountServices:
    services: AccountServices = request.app.state.accounts
    return services


Services = Annotated[AccountServices, Depends(_accounts)]


def described(model: type[BaseModel], example: Mapping[str, object]) -> dict[str, Any]:
    """The ``openapi_extra=`` of a route that reads ``model``, with an example."""
    examples = {"example": {"summary": "An example", "value": dict(example)}}
    return json_body(TypeAdapter(model), examples)
