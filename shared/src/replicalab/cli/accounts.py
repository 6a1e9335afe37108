"""Commands about the caller: login, whoami, tokens."""

import socket
import sys
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicalab.client.accounts import Accounts, log_in
from replicalab.client.credentials import store_token
from replicalab.client.lab import LOOPBACK, Lab
from replicalab.domain.account_resources import NewTokenRead, TokenRead
from replicalab.errors import InvalidRequest


def login(console: Console, url: str, name: str, password: str, file: Path) -> None:
    """Make a token for this machine and store it."""
    url = url.rstrip("/")
    _check_transport(url)
    token_name = f"replicalab on {socket.gethostname()}"
    with httpx.Client(base_url=url, timeout=30) as client:
        token = log_in(client, name, password, token_name=token_name)
    store_token(url, token.token, file)
    console.print(f"Logged in at {url} until {token.expires_at:%Y-%m-%d}.", highlight=False)


def login_with_token(console: Console, url: str, file: Path) -> None:
    """Store the token that standard input holds, once the service has taken it."""
    url = url.rstrip("/")
    _check_transport(url)
    token = sys.stdin.readline().strip()
    with Lab(url, token) as lab:
        name = lab.accounts.me().user.name
    store_token(url, token, file)
    console.print(f"Logged in at {url} as {name}.", highlight=False)


def _check_transport(url: str) -> None:
    parts = httpx.URL(url)
    if parts.scheme != "https" and parts.host not in LOOPBACK:
        raise InvalidRequest("Passwords and tokens are only sent over https.")


def show_me(console: Console, accounts: Accounts) -> None:
    """Print who the caller is."""
    me = accounts.me()
    facts = Table.grid(padding=(0, 2))
    facts.add_row("user", Text(f"{me.user.name} ({me.user.display_name})"))
    facts.add_row("role", me.user.role)
    facts.add_row("credential", me.credential)
    facts.add_row("scopes", ", ".join(me.scopes))
    projects = (f"{project.name} ({project.role or 'no member'})" for project in me.projects)
    facts.add_row("projects", Text(", ".join(projects)))
    console.print(facts)


def _state_of(token: TokenRead) -> str:
    if token.revoked_at is not None:
        return f"revoked {token.revoked_at:%Y-%m-%d}"
    return f"until {token.expires_at:%Y-%m-%d}"


def show_tokens(console: Console, accounts: Accounts) -> None:
    """Print the caller's tokens, without their secrets."""
    table = Table("id", "begins with", "name", "scopes", "valid", "last used")
    for token in accounts.tokens():
        used = "never" if token.last_used_at is None else f"{token.last_used_at:%Y-%m-%d %H}h"
        table.add_row(
            str(token.id),
            token.prefix,
            Text(token.name),
            ", ".join(token.scopes),
            _state_of(token),
            used,
        )
    console.print(table)


def show_secret(console: Console, notes: Console, token: NewTokenRead) -> None:
    """Print a secret alone on standard output, so that it can be piped into a keeper."""
    notes.print(f"Token {token.id}, {_state_of(token)}. It is not shown again:", highlight=False)
    console.print(token.token, highlight=False, soft_wrap=True)
