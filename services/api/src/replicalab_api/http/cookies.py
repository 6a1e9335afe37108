"""The session cookie, and proof that a request comes from a page of this site."""

from typing import Protocol
from urllib.parse import urlsplit

from fastapi import Request, Response

from replicalab.refusals import CsrfRefused

SESSION = "rl"
LOGIN = "rl-login"
SECURE_NAME = f"__Host-{SESSION}"
CSRF_HEADER = "X-CSRF-Token"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SAME_SITE = frozenset({"same-origin", "none"})
"""``none``: the user typed the address or used a bookmark."""


class CsrfTokens(Protocol):
    """Knows which token belongs to which session."""

    def is_csrf_token(self, cookie: str, token: str) -> bool:
        """Whether ``token`` belongs to the session of ``cookie``."""


def _is_plain_loopback(request: Request) -> bool:
    return request.url.scheme == "http" and request.url.hostname in LOOPBACK


def _name(request: Request, plain: str) -> str:
    """``__Host-`` and the name; the name alone over plain HTTP on loopback.

    There browsers keep no cookie of the other kind.
    """
    return plain if _is_plain_loopback(request) else f"__Host-{plain}"


def _set(request: Request, response: Response, plain: str, value: str, seconds: int) -> None:
    response.set_cookie(
        _name(request, plain),
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="lax",
        secure=not _is_plain_loopback(request),
    )


def session_cookie(request: Request) -> str | None:
    """The session that the browser shows."""
    return request.cookies.get(_name(request, SESSION))


def set_session_cookie(request: Request, response: Response, value: str, seconds: int) -> None:
    """Give the browser its session."""
    _set(request, response, SESSION, value, seconds)


def clear_session_cookie(request: Request, response: Response) -> None:
    """Take the session from the browser."""
    _set(request, response, SESSION, "", 0)


def login_cookie(request: Request) -> str | None:
    """The login at a provider that the browser has begun."""
    return request.cookies.get(_name(request, LOGIN))


def set_login_cookie(request: Request, response: Response, state: str, seconds: int) -> None:
    """Remember in the browser that it has begun a login."""
    _set(request, response, LOGIN, state, seconds)


def clear_login_cookie(request: Request, response: Response) -> None:
    """The login is over."""
    _set(request, response, LOGIN, "", 0)


def check_origin(request: Request) -> None:
    """Raise ``CsrfRefused`` when the browser says that another site sends the request.

    Browsers send ``Sec-Fetch-Site``; older ones ``Origin`` with whatever changes something.
    Programs send neither, and have no cookies that somebody else could use.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in SAME_SITE:
        raise CsrfRefused("Another site sends this request.")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise CsrfRefused("Another origin sends this request.")


def check_csrf(request: Request, cookie: str, tokens: CsrfTokens) -> None:
    """Raise ``CsrfRefused`` unless a page of this site sends a request that changes something."""
    if request.method in SAFE_METHODS:
        return
    check_origin(request)
    token = request.headers.get(CSRF_HEADER, "")
    if not tokens.is_csrf_token(cookie, token):
        raise CsrfRefused(f"{CSRF_HEADER} is missing, or not the session's.")
