"""Routes of logins at the lab's OpenID Connect provider."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as QueryString
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from replicalab import refusals
from replicalab_api.accounts.dependencies import USUAL, Services
from replicalab_api.accounts.session import give_session
from replicalab_api.http.cookies import clear_login_cookie, login_cookie, set_login_cookie
from replicalab_api.http.paging import Query
from replicalab_api.http.problems import responses
from replicalab_api.identity.provider_logins import MOST_MINUTES, ProviderLogins
from replicalab_api.identity.services import AccountServices

PREFIX = "/v1/session/oidc"
CALLBACK = f"{PREFIX}/callback"
SAME_SITE_PATH = r"^/(?:[A-Za-z0-9._~!$&'()*+,;=:@%?-][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$"
"""A path, perhaps with a query: browsers take ``//host`` and ``/\\host`` for another site."""

router = APIRouter(
    prefix=PREFIX,
    tags=["session"],
    responses=USUAL | responses(refusals.NoProvider, refusals.ProviderUnavailable),
)


class LoginQuery(Query):
    """Where to go afterwards."""

    then: str = Field(
        default="/",
        max_length=512,
        pattern=SAME_SITE_PATH,
        description="Path of this site where the login ends, such as the page that asked for it.",
        examples=["/experiments?state=running"],
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
def log_in_at_provider(
    query: Annotated[LoginQuery, QueryString()], request: Request, services: Services
) -> RedirectResponse:
    """Go to the lab's login provider; it sends the browser back."""
    url, state = _logins(services).begin(query.then)
    response = RedirectResponse(url, HTTPStatus.FOUND)
    set_login_cookie(request, response, state, MOST_MINUTES * 60)
    return response


@router.get(
    "/callback",
    status_code=HTTPStatus.SEE_OTHER,
    response_class=RedirectResponse,
    responses=responses(refusals.LoginFailed)
    | {303: {"description": "Where the login was asked for, with a session."}},
)
def come_back_from_provider(
    query: Annotated[CallbackQuery, QueryString()], request: Request, services: Services
) -> RedirectResponse:
    """Begin the session of whom the provider vouches for."""
    new, then = _logins(services).finish(
        state=query.state,
        cookie=login_cookie(request),
        code=query.code,
        request_id=request.state.request_id,
    )
    response = RedirectResponse(then, HTTPStatus.SEE_OTHER)
    give_session(request, response, new)
    clear_login_cookie(request, response)
    return response
