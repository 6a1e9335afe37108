"""Routes under /v1/tokens."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from replicalab import refusals
from replicalab.domain.account_resources import NewTokenRead, TokenRead
from replicalab_api.accounts.dependencies import BODY, USUAL, Services, described
from replicalab_api.http.authentication import Caller
from replicalab_api.http.json_bodies import JsonBody
from replicalab_api.http.problems import responses
from replicalab_api.identity.requests import NewToken

router = APIRouter(prefix="/v1/tokens", tags=["tokens"], responses=USUAL)

TokenId = Annotated[UUID, PathParameter(description="``id`` of the token, not the token itself.")]
TokenBody = Annotated[NewToken, Depends(JsonBody(TypeAdapter(NewToken)))]
NOT_FOUND = responses(refusals.TokenNotFound)


class RotationQuery(BaseModel):
    """When the old secret ends."""

    model_config = ConfigDict(extra="forbid")

    now: bool = Field(default=False, description="End the old secret now, not after 24 hours.")


@router.get("")
def list_tokens(caller: Caller, services: Services) -> Sequence[TokenRead]:
    """Your tokens, newest first."""
    return services.tokens.list(caller)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=BODY | responses(refusals.TooManyTokens, refusals.UserNotFound),
    openapi_extra=described(NewToken, {"name": "laptop", "days": 90}),
)
def create_token(new: TokenBody, caller: Caller, services: Services) -> NewTokenRead:
    """Make a token; the answer is the only place where its secret is shown."""
    return services.tokens.create(caller, new)


@router.delete("/{token_id:id}", responses=NOT_FOUND)
def revoke_token(token_id: TokenId, caller: Caller, services: Services) -> TokenRead:
    """End a token now."""
    return services.tokens.revoke(caller, token_id)


@router.post("/{token_id}:rotate", responses=NOT_FOUND)
def rotate_token(
    token_id: TokenId,
    query: Annotated[RotationQuery, Query()],
    caller: Caller,
    services: Services,
) -> NewTokenRead:
    """Give a token a new secret, shown here alone, and 90 more days."""
    return services.tokens.rotate(caller, token_id, is_immediate=query.now)
