"""Tokens that `replicalab login` has stored, in a file that only their owner can read."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from replicalab.errors import Unauthenticated


def credentials_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where tokens are stored: ``~/.config/replicalab/credentials.json``, or as XDG says."""
    config = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "replicalab" / "credentials.json"


def stored_tokens(file: Path) -> dict[str, str]:
    """The token for each address; raises ``Unauthenticated`` when others could read them."""
    if not file.exists():
        return {}
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Unauthenticated(f"Others can read the tokens in {file}; run chmod 600 on it.")
    tokens: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return tokens


def store_token(url: str, token: str | None, file: Path) -> None:
    """Store the token for ``url``, or forget it where there is None; replaces the file at once."""
    tokens = stored_tokens(file)
    tokens.pop(url, None)
    if token is not None:
        tokens[url] = token
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_suffix(".incomplete")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(tokens, stream)
    unfinished.replace(file)
