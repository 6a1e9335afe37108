"""Who you are to a service, and your tokens."""

import json
from collections.abc import Iterable, Sequence
from uuid import UUID

import httpx
from pydantic import TypeAdapter

from replicalab.client.backoff import Backoff
from replicalab.client.transport import Transport
from replicalab.domain.account_resources import MeRead, NewTokenRead, SessionRead, TokenRead
from replicalab.domain.accounts import Scope

ROOT = "/v1/tokens"
JSON = {"Content-Type": "application/json"}
SCOPES_OF_LOGIN = (Scope.READ, Scope.WRITE, Scope.TOKENS)

_TOKENS = TypeAdapter(list[TokenRead])


class Accounts:
    """What a service knows of the caller; ``Lab.accounts`` has one.

    What shows a secret is sent once: a repeated request could leave a token that nobody holds.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def me(self) -> MeRead:
        """The caller: user, scopes of the token, projects."""
        return MeRead.model_validate_json(self._transport.send("GET", "/v1/me").content)

    def tokens(self) -> Sequence[TokenRead]:
        """The caller's tokens, newest first."""
        return _TOKENS.validate_json(self._transport.send("GET", ROOT).content)

    def create_token(
        self, name: str, *, scopes: Iterable[Scope] = (Scope.READ, Scope.WRITE), days: int = 90
    ) -> NewTokenRead:
        """A new token, whose secret is in the answer and nowhere else.

        Args:
            name: What it is for.
            scopes: At most those of the caller's own token.
            days: How long it lives, at most 365.

        Raises:
            Forbidden: It would allow more than the caller's own token.
        """
        body = {"name": name, "scopes": [Scope(scope) for scope in scopes], "days": days}
        return _new_token(self._transport, body)

    def revoke_token(self, token_id: UUID) -> TokenRead:
        """End a token now; raises ``TokenNotFound``."""
        response = self._transport.send("DELETE", f"{ROOT}/{token_id}")
        return TokenRead.model_validate_json(response.content)

    def rotate_token(self, token_id: UUID, *, is_immediate: bool = False) -> NewTokenRead:
        """A new secret for a token; the old one works for a day more unless ``is_immediate``."""
        params = {"now": "true"} if is_immediate else {}
        response = self._transport.send(
            "POST", f"{ROOT}/{token_id}:rotate", params=params, is_repeatable=False
        )
        return NewTokenRead.model_validate_json(response.content)


def _new_token(
    transport: Transport, body: dict[str, object], headers: dict[str, str] | None = None
) -> NewTokenRead:
    response = transport.send(
        "POST",
        ROOT,
        content=json.dumps(body).encode(),
        headers=JSON | (headers or {}),
        is_repeatable=False,
    )
    return NewTokenRead.model_validate_json(response.content)


def log_in(
    client: httpx.Client, name: str, password: str, *, token_name: str, days: int = 90
) -> NewTokenRead:
    """Make a token with a name and a password, which are not kept.

    Args:
        client: Without a token; it ends without a session as well.
        name: Of the user.
        password: Of the user.
        token_name: What the token is for.
        days: How long it lives.

    Raises:
        LoginFailed: Name and password do not belong together.
        TooManyRequests: There were too many attempts.
    """
    transport = Transport(client, Backoff())
    content = json.dumps({"name": name, "password": password}).encode()
    response = transport.send(
        "POST", "/v1/session", content=content, headers=JSON, is_repeatable=False
    )
    session = SessionRead.model_validate_json(response.content)
    proof = {"X-CSRF-Token": session.csrf_token}
    body = {"name": token_name, "scopes": list(SCOPES_OF_LOGIN), "days": days}
    token = _new_token(transport, body, proof)
    transport.send("DELETE", "/v1/session", headers=proof)
    return token
