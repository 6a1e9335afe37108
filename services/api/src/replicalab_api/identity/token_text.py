"""What a token looks like: ``rlp_<id, 8>_<secret, 32 base62>_<checksum, 6>``.

The prefix and the checksum (CRC-32 in base62 of all before it) let scanners find leaked tokens
offline, and let the gateway refuse mistyped ones without asking the database.
"""

import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from hashlib import sha256

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX = "rlp"
ID_CHARACTERS = 8
SECRET_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6

_PATTERN = re.compile(r"(rlp_([0-9A-Za-z]{8})_([0-9A-Za-z]{32}))_([0-9A-Za-z]{6})", re.ASCII)


def _random(characters: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(characters))


def checksum(text: str) -> str:
    """CRC-32 of ``text`` in base62, six digits, most significant first."""
    number, digits = zlib.crc32(text.encode()), []
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token taken apart; the secret (about 190 bits) never shows in a repr."""

    public_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, public_id: str | None = None) -> "TokenText":
        """A fresh secret, for a known id or a fresh one."""
        return cls(public_id or _random(ID_CHARACTERS), _random(SECRET_CHARACTERS))

    @classmethod
    def parse(cls, text: str) -> "TokenText | None":
        """The parts of ``text``, or None when it is no token or was mistyped."""
        match = _PATTERN.fullmatch(text)
        if match is None or checksum(match[1]) != match[4]:
            return None
        return cls(match[2], match[3])

    @property
    def prefix(self) -> str:
        """What may be shown."""
        return prefix_of(self.public_id)

    def write(self) -> str:
        """The token as its user keeps it."""
        body = f"{self.prefix}_{self.secret}"
        return f"{body}_{checksum(body)}"


def prefix_of(public_id: str) -> str:
    """How the token with this id begins."""
    return f"{PREFIX}_{public_id}"


class Pepper:
    """Keyed digests of secrets: a stolen database alone does not say which secrets are right.

    Args:
        key: The pepper, at least 32 characters, kept outside of the database.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def digest(self, purpose: str, secret: str) -> bytes:
        """HMAC-SHA256 of ``secret``; digests for different purposes have nothing in common."""
        return hmac.digest(self._key, f"{purpose}\0{secret}".encode(), sha256)
