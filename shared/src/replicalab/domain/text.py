"""Text that people type: what names may hold."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_NAME_CHARACTERS = 120


def _clean(text: str) -> str:
    """Normalise to NFC and refuse control, format, private and surrogate characters."""
    normal = unicodedata.normalize("NFC", text).strip()
    if not normal:
        raise ValueError("must hold at least one visible character")
    for character in normal:
        if unicodedata.category(character).startswith("C"):
            raise ValueError(f"must not hold the control or format character {character!a}")
    return normal


def told(text: str, longest_characters: int) -> str:
    """The end of what a program said, as a database can store it and a page can show it.

    Args:
        text: May hold anything: NUL, lone surrogates, control sequences of terminals.
        longest_characters: Of the result; the beginning is left out.
    """
    end = text[-longest_characters:]
    return "".join("\ufffd" if _is_unprintable(character) else character for character in end)


def _is_unprintable(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in {"Cc", "Cs"}


Name = Annotated[
    str,
    Field(min_length=1, max_length=MAX_NAME_CHARACTERS, examples=["digits sweep"]),
    AfterValidator(_clean),
]
"""A title given by a person: NFC, at most 120 characters, no control or format characters."""

Licence = Annotated[
    str,
    Field(min_length=1, max_length=200, examples=["CC BY-NC-SA 4.0"]),
    AfterValidator(_clean),
]
"""Terms under which somebody gave something away, in the words of whoever brought it."""
