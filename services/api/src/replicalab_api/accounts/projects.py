"""Routes under /v1/projects."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi import Path as PathParameter
from pydantic import TypeAdapter

from replicalab import refusals
from replicalab.domain.account_resources import MemberRead, ProjectRead
from replicalab_api.accounts.dependencies import BODY, USUAL, Services, described
from replicalab_api.http.authentication import Caller
from replicalab_api.http.json_bodies import JsonBody
from replicalab_api.http.problems import responses
from replicalab_api.identity.requests import Membership, NewProject

router = APIRouter(prefix="/v1/projects", tags=["projects"], responses=USUAL)

ProjectId = Annotated[UUID, PathParameter(description="``id`` of the project.")]
UserId = Annotated[UUID, PathParameter(description="``id`` of the user.")]
ProjectBody = Annotated[NewProject, Depends(JsonBody(TypeAdapter(NewProject)))]
MemberBody = Annotated[Membership, Depends(JsonBody(TypeAdapter(Membership)))]
NOT_FOUND = responses(refusals.ProjectNotFound)


@router.get("")
def list_projects(caller: Caller, services: Services) -> Sequence[ProjectRead]:
    """Your projects, by name; administrators see all."""
    return services.projects.list(caller)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=BODY | responses(refusals.NameTaken),
    openapi_extra=described(NewProject, {"name": "faces"}),
)
def create_project(new: ProjectBody, caller: Caller, services: Services) -> ProjectRead:
    """Make a project; you are its first maintainer."""
    return services.projects.create(caller, new)


@router.get("/{project_id}", responses=NOT_FOUND)
def get_project(project_id: ProjectId, caller: Caller, services: Services) -> ProjectRead:
    """A project."""
    return services.projects.get(caller, project_id)


@router.get("/{project_id}/members", responses=NOT_FOUND)
def list_members(project_id: ProjectId, caller: Caller, services: Services) -> Sequence[MemberRead]:
    """Everybody in a project, by name."""
    return services.projects.members(caller, project_id)


@router.put(
    "/{project_id}/members/{user_id}",
    responses=BODY | NOT_FOUND | responses(refusals.UserNotFound),
    openapi_extra=described(Membership, {"role": "researcher"}),
)
def set_member(
    project_id: ProjectId,
    user_id: UserId,
    membership: MemberBody,
    caller: Caller,
    services: Services,
) -> MemberRead:
    """Give a user a role in a project; the one in the lab limits it."""
    return services.projects.set_member(caller, project_id, user_id, membership)


@router.delete(
    "/{project_id}/members/{user_id}", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOUND
)
def remove_member(
    project_id: ProjectId, user_id: UserId, caller: Caller, services: Services
) -> None:
    """Take a user out of a project; that they are no member is no error."""
    services.projects.remove_member(caller, project_id, user_id)
