"""Passwords: Argon2id, and what is too weak to be one."""

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from replicalab.refusals import WeakPassword

MIN_CHARACTERS = 12
MAX_CHARACTERS = 128
MIN_DIFFERENT = 6


def check_strength(password: str, user_name: str) -> None:
    """Raise ``WeakPassword`` unless the password is long, varied and not the name.

    Length counts for more than odd characters (NIST SP 800-63B, section 3.1.1); the bounds are
    part of the request's schema as well.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise WeakPassword(f"It must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")
    if len(set(password)) < MIN_DIFFERENT:
        raise WeakPassword(f"It must have {MIN_DIFFERENT} different characters.")
    if user_name.casefold() in password.casefold():
        raise WeakPassword("It must not hold the user's name.")


class Passwords:
    """Hashes passwords, and verifies them in the same time whether or not there is one.

    Args:
        hasher: Argon2id with the parameters of RFC 9106 for little memory (64 MiB) by default.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys = self._hasher.hash("the password of nobody at all")

    def hash(self, password: str) -> str:
        """An encoded hash with its own salt."""
        return self._hasher.hash(password)

    def is_right(self, password: str, encoded: str | None) -> bool:
        """Whether ``password`` is the one of ``encoded``; without any, just as slowly not."""
        try:
            is_same = self._hasher.verify(encoded or self._nobodys, password)
        except VerificationError:
            return False
        return is_same and encoded is not None
