"""Routes of logins at the lab's OpenID Connect provider."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from replicalab import refusals
from replicalab_api.accounts.dependencies import USUAL, Services
from replicalab_api.accounts.session import give_session
from replicalab_api.http.cookies import clear_login_cookie, login_cookie, set_login_cookie
from replicalab_api.http.problems import responses
from replicalab_api.identity.provider_logins import MOST_MINUTES, ProviderLogins
from replicalab_api.identity.services import AccountServices

PREFIX = "/v1/session/oidc"
CALLBACK = f"{PREFIX}/callback"
AFTER_LOGIN = "/"

router = APIRouter(
    prefix=PREFIX,
    tags=["session"],
    responses=USUAL | responses(refusals.NoProvider, refusals.ProviderUnavailable),
)


class CallbackQuery(BaseModel):
    """What providers send back; they may add more."""

    state: str = Field(min_length=1, max_length=256)
    code: str | None = Field(default=None, min_length=1, max_length=2048)


def _logins(services: AccountServices) -> ProviderLogins:
    if services.provider_logins is None:
        raise refusals.NoProvider("This installation has no login provider.")
    return services.provider_logins


@router.get(
    "",
    status_code=HTTPStatus.FOUND,
    response_class=RedirectResponse,
    responses={302: {"description": "The provider's login page."}},
)
def log_in_at_provider(request: Request, services: Services) -> RedirectResponse:
    """Go to the lab's login provider; it sends the browser back."""
    url, state = _logins(services).begin()
    response = RedirectResponse(url, HTTPStatus.FOUND)
    set_login_cookie(request, response, state, MOST_MINUTES * 60)
    return response


@router.get(
    "/callback",
    status_code=HTTPStatus.SEE_OTHER,
    response_class=RedirectResponse,
    responses=responses(refusals.LoginFailed)
    | {303: {"description": "The start page, with a session."}},
)
def come_back_from_provider(
    query: Annotated[CallbackQuery, Query()], request: Request, services: Services
) -> RedirectResponse:
    """Begin the session of whom the provider vouches for."""
    logins = _logins(services)
    if query.code is None:
        raise refusals.LoginFailed("The login provider refused.")
    new = logins.finish(
        state=query.state,
        cookie=login_cookie(request),
        code=query.code,
        request_id=request.state.request_id,
    )
    response = RedirectResponse(AFTER_LOGIN, HTTPStatus.SEE_OTHER)
    give_session(request, response, new)
    clear_login_cookie(request, response)
    return response
