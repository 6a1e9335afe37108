"""Names in archives: plain, relative, and each its own on every file system."""

import re
import unicodedata
from collections.abc import Iterable

from replicalab.file_errors import UnsafeArchivePath

DEEPEST = 8
MOST_NAME_CHARACTERS = 120
_DRIVE = re.compile(r"[A-Za-z]:")


def plain_name(name: str) -> str:
    """The one spelling of ``name``, whatever machine packed it."""
    return unicodedata.normalize("NFC", name).rstrip("/")


def check_names(names: Iterable[str]) -> None:
    """Refuse names that lead elsewhere or could stand for one another.

    Raises:
        UnsafeArchivePath: The detail names the first of them.
    """
    seen: dict[str, str] = {}
    for name in names:
        reason = _reason_against(plain_name(name))
        if reason is not None:
            raise UnsafeArchivePath(f"The archive holds the entry {name[:200]!a}: {reason}.")
        folded = plain_name(name).casefold()
        if folded in seen:
            what = "twice" if seen[folded] == name else f"beside {seen[folded][:200]!a}"
            raise UnsafeArchivePath(f"The archive holds the entry {name[:200]!a} {what}.")
        seen[folded] = name


def _reason_against(name: str) -> str | None:
    if name.startswith("/") or _DRIVE.match(name):
        return "the path is absolute"
    if "\\" in name:
        return "the path holds a backslash"
    if any(unicodedata.category(character).startswith("C") for character in name):
        return "the name holds control or format characters"
    parts = name.split("/")
    if len(parts) > DEEPEST:
        return f"the path is deeper than {DEEPEST}"
    if any(part in {"", ".", ".."} for part in parts):
        return "the path leads out of its folder or nowhere"
    if any(len(part) > MOST_NAME_CHARACTERS for part in parts):
        return f"a part of the path is longer than {MOST_NAME_CHARACTERS} characters"
    return None
