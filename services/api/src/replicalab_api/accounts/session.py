"""Routes of the caller themselves: logging in and out, who they are, their password."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import TypeAdapter

from replicalab import refusals
from replicalab.domain.account_resources import MeRead, SessionRead
from replicalab_api.accounts.dependencies import BODY, USUAL, Services, described
from replicalab_api.http.authentication import Caller
from replicalab_api.http.cookies import (
    check_origin,
    clear_session_cookie,
    session_cookie,
    set_session_cookie,
)
from replicalab_api.http.json_bodies import JsonBody
from replicalab_api.http.limiting import address_of
from replicalab_api.http.problems import responses
from replicalab_api.identity.requests import Login, PasswordChange
from replicalab_api.identity.sessions import LONGEST, NewSession

login_router = APIRouter(prefix="/v1/session", tags=["session"], responses=USUAL)
router = APIRouter(prefix="/v1", tags=["session"], responses=USUAL)

LoginBody = Annotated[Login, Depends(JsonBody(TypeAdapter(Login)))]
PasswordBody = Annotated[PasswordChange, Depends(JsonBody(TypeAdapter(PasswordChange)))]
LIMITED = responses(refusals.LoginFailed, refusals.TooManyRequests)


def give_session(request: Request, response: Response, new: NewSession) -> None:
    """Put a new session's cookie into an answer."""
    set_session_cookie(request, response, new.cookie, int(LONGEST.total_seconds()))


@login_router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=BODY | LIMITED | responses(refusals.CsrfRefused),
    openapi_extra=described(Login, {"name": "ann", "password": "correct horse battery staple"}),
    dependencies=[Depends(check_origin)],
)
def log_in(
    login: LoginBody, request: Request, response: Response, services: Services
) -> SessionRead:
    """Begin a browser session: the cookie is in the answer, and out of scripts' reach."""
    new = services.sessions.login(
        login, address=address_of(request), request_id=request.state.request_id
    )
    give_session(request, response, new)
    return SessionRead(user=new.user, csrf_token=new.csrf_token, expires_at=new.expires_at)


@router.delete("/session", status_code=HTTPStatus.NO_CONTENT)
def log_out(caller: Caller, request: Request, response: Response, services: Services) -> None:
    """End the session; with a token, which has none, nothing happens."""
    cookie = session_cookie(request)
    if caller.credential == "session" and cookie is not None:
        services.sessions.logout(caller, cookie)
        clear_session_cookie(request, response)


@router.get("/me")
def get_me(caller: Caller, request: Request, services: Services) -> MeRead:
    """Who you are to this service."""
    cookie = session_cookie(request) if caller.credential == "session" else None
    return MeRead(
        user=services.users.get(caller.user_id),
        scopes=sorted(caller.scopes),
        credential=caller.credential,
        projects=list(services.projects.list(caller)),
        csrf_token=None if cookie is None else services.sessions.csrf_token(cookie),
    )


@router.put(
    "/me/password",
    status_code=HTTPStatus.NO_CONTENT,
    responses=BODY | LIMITED,
    openapi_extra=described(
        PasswordChange,
        {"old": "correct horse battery staple", "new": "four other random words"},
    ),
)
def change_password(change: PasswordBody, caller: Caller, services: Services) -> None:
    """Change your password, which ends your sessions."""
    services.users.change_password(caller, change)
