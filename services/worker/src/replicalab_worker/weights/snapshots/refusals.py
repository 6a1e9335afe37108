"""Saying what was found in a file, without repeating what could do harm in a log or a terminal."""

from replicalab.errors import UnsafeCheckpoint

LONGEST_SHOWN_CHARACTERS = 80


def shown(text: str) -> str:
    """``text`` as it may appear in a message: printable ASCII, cut."""
    printable = "".join(c if " " <= c <= "~" else "?" for c in text[:LONGEST_SHOWN_CHARACTERS])
    return printable if len(text) <= LONGEST_SHOWN_CHARACTERS else f"{printable}..."


def truncated(what: str) -> UnsafeCheckpoint:
    """The file ends inside ``what``, or ``what`` claims more than the file holds."""
    return UnsafeCheckpoint(f"The file ends early: {what} reaches past its end.")
