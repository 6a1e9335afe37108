"""Who is calling: a bearer token, or the cookie of a browser session."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Protocol

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from replicalab.domain.accounts import Principal
from replicalab.errors import TokenInUrl, Unauthenticated
from replicalab.refusals import Forbidden
from replicalab_api.http.authorisation import Rules, limit_of, rule_of
from replicalab_api.http.cookies import SECURE_NAME, CsrfTokens, check_csrf, session_cookie
from replicalab_api.http.limiting import charge_address, rate_limits_of

FORBIDDEN_PARAMETERS = frozenset({"token", "access_token", "api_key", "apikey", "authorization"})

bearer = HTTPBearer(
    auto_error=False, description="A token of yours, or the one that `replicalab up` prints."
)
browser = APIKeyCookie(
    name=SECURE_NAME,
    auto_error=False,
    description="The cookie of `POST /v1/session`; `rl` over plain HTTP on loopback. Whatever "
    "changes something needs `X-CSRF-Token` as well.",
)


class Identities(CsrfTokens, Protocol):
    """Knows whose credentials are whose. Both methods raise ``Unauthenticated``."""

    def by_token(self, token: str) -> Principal:
        """The bearer of a token."""

    def by_cookie(self, cookie: str) -> Principal:
        """Whose session it is."""


class Authentication:
    """A dependency that lets in whom the rules allow.

    Who is who, and how often they may ask, is what the gateway was equipped with.

    Args:
        rules: What each route asks of its callers.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        _cookie: Annotated[str | None, Depends(browser)],
    ) -> Principal:
        """The caller.

        Raises:
            TokenInUrl: The query string carries something that looks like a token.
            Unauthenticated: No credential, or a wrong one.
            CsrfRefused: A session's request does not come from this site.
            Forbidden: The role or the credential does not allow this route.
            TooManyRequests: The caller has asked too often.
        """
        if FORBIDDEN_PARAMETERS & {name.lower() for name in request.query_params}:
            raise TokenInUrl("The query string carries a token; it was not looked at.")
        request.state.look_again = partial(self._let_in, request, credentials)
        rule = rule_of(request, self._rules)
        try:
            caller = _identify(request, credentials)
        except (Unauthenticated, Forbidden):
            charge_address(request)
            raise
        rate_limits_of(request.app).charge_caller(request, caller, limit_of(request, rule))
        caller.require(rule.role, rule.scope)
        request.state.principal = caller
        return caller

    def _let_in(
        self, request: Request, credentials: HTTPAuthorizationCredentials | None
    ) -> Principal:
        caller = _identify(request, credentials)
        rule = rule_of(request, self._rules)
        caller.require(rule.role, rule.scope)
        return caller


def _identify(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Principal:
    known = _who_shows(request, credentials)
    return replace(known, request_id=request.state.request_id)


def _who_shows(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Principal:
    identities: Identities = request.app.state.identities
    if credentials is not None:
        return identities.by_token(credentials.credentials)
    cookie = None if "authorization" in request.headers else session_cookie(request)
    if cookie is None:
        raise Unauthenticated("Send the header Authorization: Bearer <token>.")
    caller = identities.by_cookie(cookie)
    check_csrf(request, cookie, identities)
    return caller


async def principal_of(request: Request) -> Principal:
    """The caller that the router's authentication has let in."""
    principal: Principal = request.state.principal
    return principal


async def later_principal_of(request: Request) -> Callable[[], Principal]:
    """What finds out who the caller is later: an answer may last longer than its credential.

    It raises what the authentication of a new request would raise.
    """
    look_again: Callable[[], Principal] = request.state.look_again
    return look_again


Caller = Annotated[Principal, Depends(principal_of)]
