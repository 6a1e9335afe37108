"""Where the service is and which token it wants."""

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replicalab.client.credentials import credentials_file, stored_tokens
from replicalab.errors import InvalidRequest, ServiceUnreachable, Unauthenticated

URL_VARIABLE = "REPLICALAB_URL"
TOKEN_VARIABLE = "REPLICALAB_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Connection:
    """An address and a token, which never shows in a repr.

    Raises:
        InvalidRequest: ``url`` names no HTTP server.
        Unauthenticated: ``token`` cannot be sent in a header.
    """

    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not re.match(r"https?://[^/\s]", self.url):
            raise InvalidRequest(
                f"{self.url!r} is no address; one begins with http:// or https://."
            )
        if not re.fullmatch(r"[!-~]+", self.token):
            raise Unauthenticated("The token holds characters that no token has.")


def connection_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a running embedded stack says how to reach it."""
    state = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "replicalab" / "connection.json"


def save_connection(connection: Connection, path: Path) -> None:
    """Write ``connection`` so that only its owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": connection.url, "token": connection.token}, file)


def forget_connection(connection: Connection, path: Path) -> None:
    """Remove the file, unless another stack has replaced it."""
    if path.exists() and _load(path) == connection:
        path.unlink()


def _load(path: Path) -> Connection:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Unauthenticated(f"Others can read the token in {path}; run chmod 600 on it.")
    content = json.loads(path.read_text(encoding="utf-8"))
    return Connection(content["url"], content["token"])


def find_connection(
    url: str | None = None,
    token: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Connection:
    """What was given, else REPLICALAB_URL and REPLICALAB_TOKEN, else a login or the embedded stack.

    Raises:
        ServiceUnreachable: Nothing says where the service is.
        InvalidRequest: The address is none.
        Unauthenticated: Nothing says the token, others could read it, or it cannot be one.
    """
    url = url or environment.get(URL_VARIABLE)
    token = token or environment.get(TOKEN_VARIABLE)
    if url and token:
        return Connection(url, token)
    path = connection_file(environment)
    running = _load(path) if path.exists() else None
    tokens = stored_tokens(credentials_file(environment))
    if url is None and running is None and len(tokens) == 1:
        (url,) = tokens
    if url is None and running is None:
        raise ServiceUnreachable(f"{URL_VARIABLE} is not set and no embedded stack is running.")
    # The stack's token is for the stack: another address must not learn it.
    if running is not None and url in {None, running.url}:
        return Connection(running.url, token or tokens.get(running.url) or running.token)
    token = token or tokens.get((url or "").rstrip("/"))
    if url and token:
        return Connection(url, token)
    raise Unauthenticated(f"{TOKEN_VARIABLE} is not set, and nobody has logged in at {url}.")
