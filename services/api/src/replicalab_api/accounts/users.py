"""Routes under /v1/users and /v1/usage."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi import Path as PathParameter
from pydantic import TypeAdapter

from replicalab import refusals
from replicalab.domain.account_resources import UserRead
from replicalab.domain.resources import UsageRead
from replicalab_api.accounts.dependencies import BODY, USUAL, Services, described
from replicalab_api.http.authentication import Caller
from replicalab_api.http.json_bodies import JsonBody
from replicalab_api.http.problems import responses
from replicalab_api.identity.requests import NewUser, Quota, UserChange

router = APIRouter(prefix="/v1", tags=["users"], responses=USUAL)

UserId = Annotated[UUID, PathParameter(description="``id`` of the user.")]
UserBody = Annotated[NewUser, Depends(JsonBody(TypeAdapter(NewUser)))]
ChangeBody = Annotated[UserChange, Depends(JsonBody(TypeAdapter(UserChange)))]
QuotaBody = Annotated[Quota, Depends(JsonBody(TypeAdapter(Quota)))]
NOT_FOUND = responses(refusals.UserNotFound)


@router.get("/users")
def list_users(services: Services) -> Sequence[UserRead]:
    """Everybody, by name."""
    return services.users.list()


@router.post(
    "/users",
    status_code=HTTPStatus.CREATED,
    responses=BODY | responses(refusals.NameTaken),
    openapi_extra=described(NewUser, {"name": "ann", "role": "researcher"}),
)
def create_user(new: UserBody, caller: Caller, services: Services) -> UserRead:
    """Add a user, who becomes a member of the default project."""
    return services.users.create(caller, new)


@router.get("/users/{user_id}", responses=NOT_FOUND)
def get_user(user_id: UserId, services: Services) -> UserRead:
    """A user."""
    return services.users.get(user_id)


@router.patch(
    "/users/{user_id}",
    responses=BODY | NOT_FOUND | responses(refusals.LastAdministrator),
    openapi_extra=described(UserChange, {"role": "maintainer"}),
)
def change_user(
    user_id: UserId, change: ChangeBody, caller: Caller, services: Services
) -> UserRead:
    """Change a user. Disabling them, or giving them a password, ends their sessions."""
    return services.users.change(caller, user_id, change)


@router.put(
    "/users/{user_id}/quota",
    responses=BODY | NOT_FOUND,
    openapi_extra=described(Quota, {"seconds": 360000.0}),
)
def set_quota(user_id: UserId, quota: QuotaBody, caller: Caller, services: Services) -> UsageRead:
    """Limit the compute that a user may use in all."""
    return services.users.set_quota(caller, user_id, quota)


@router.get("/usage")
def list_usage(caller: Caller, services: Services) -> Sequence[UsageRead]:
    """Compute used, heaviest first: your own, or everybody's for maintainers."""
    return services.users.usage(caller)
