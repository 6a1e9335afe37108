"""Who is calling: bearer tokens, compared in constant time."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from replicalab.errors import TokenInUrl, Unauthenticated

FORBIDDEN_PARAMETERS = frozenset({"token", "access_token", "api_key", "apikey", "authorization"})
MIN_TOKEN_CHARACTERS = 16

bearer = HTTPBearer(auto_error=False, description="The token that `replicalab up` prints.")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling."""

    name: str


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class TokenAuthentication:
    """A dependency that lets one token in.

    Args:
        token: The secret, at least 16 characters.
        owner: The name under which its bearer owns experiments.
    """

    def __init__(self, token: str, owner: str = "lab") -> None:
        if len(token) < MIN_TOKEN_CHARACTERS:
            raise ValueError(f"the token must have at least {MIN_TOKEN_CHARACTERS} characters")
        self._digest = _digest(token)
        self._principal = Principal(owner)

    def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Principal:
        """The caller.

        Raises:
            TokenInUrl: The query string carries something that looks like a token.
            Unauthenticated: No token, or a wrong one.
        """
        if FORBIDDEN_PARAMETERS & {name.lower() for name in request.query_params}:
            raise TokenInUrl("The query string carries a token; it was not looked at.")
        if credentials is None:
            raise Unauthenticated("Send the header Authorization: Bearer <token>.")
        # Digests have one length, so that the comparison tells nothing about the token's.
        if not hmac.compare_digest(_digest(credentials.credentials), self._digest):
            raise Unauthenticated("The token is not valid.")
        request.state.principal = self._principal
        return self._principal


def principal_of(request: Request) -> Principal:
    """The caller that the router's authentication has let in."""
    principal: Principal = request.state.principal
    return principal
