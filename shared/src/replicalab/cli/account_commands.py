"""``replicalab login``, ``whoami`` and ``tokens``, with their options."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from replicalab.client.accounts import Accounts

tokens = typer.Typer(
    name="tokens",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, make, rotate and revoke your tokens.",
)

Token = Annotated[UUID, typer.Argument(help="Id of the token, as `tokens list` shows it.")]


@contextmanager
def _accounts(context: typer.Context) -> Iterator["Accounts"]:
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        yield lab.accounts


def login(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Your name; asked for if left out.")] = None,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Read a token from standard input.")
    ] = False,
) -> None:
    """Store a token for a service.

    Asks for name and password; neither is kept.
    """
    from rich.console import Console

    from replicalab.cli import accounts
    from replicalab.client.credentials import credentials_file

    url = context.obj or typer.prompt("Address of the service")
    if with_token:
        accounts.login_with_token(Console(), url, credentials_file())
        return
    name = name or typer.prompt("Name")
    password = typer.prompt("Password", hide_input=True)
    accounts.login(Console(), url, name, password, credentials_file())


def whoami(context: typer.Context) -> None:
    """Show who you are to the service."""
    from rich.console import Console

    from replicalab.cli.accounts import show_me

    with _accounts(context) as mine:
        show_me(Console(), mine)


@tokens.command("list")
def list_tokens(context: typer.Context) -> None:
    """List your tokens, without secrets."""
    from rich.console import Console

    from replicalab.cli.accounts import show_tokens

    with _accounts(context) as mine:
        show_tokens(Console(), mine)


@tokens.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, write, tokens or admin; may be repeated.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="How long it lives.")] = 90,
) -> None:
    """Make a token and print it, this once."""
    from rich.console import Console

    from replicalab.cli.accounts import show_secret
    from replicalab.domain.accounts import Scope

    try:
        scopes = [Scope(name) for name in scope or ("read", "write")]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--scope") from error
    with _accounts(context) as mine:
        token = mine.create_token(name, scopes=scopes, days=days)
        show_secret(Console(), Console(stderr=True), token)


@tokens.command()
def rotate(
    context: typer.Context,
    token: Token,
    now: Annotated[
        bool, typer.Option("--now", help="End the old secret now, not after 24 hours.")
    ] = False,
) -> None:
    """Give a token a new secret and print it, this once."""
    from rich.console import Console

    from replicalab.cli.accounts import show_secret

    with _accounts(context) as mine:
        new = mine.rotate_token(token, is_immediate=now)
        show_secret(Console(), Console(stderr=True), new)


@tokens.command()
def revoke(context: typer.Context, token: Token) -> None:
    """End a token now."""
    with _accounts(context) as mine:
        mine.revoke_token(token)
