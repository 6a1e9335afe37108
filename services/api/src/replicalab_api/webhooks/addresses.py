"""Which addresses a request of ours may go to: an outsider's URL must not reach the inside.

A name is resolved once, every address that it has must be allowed, and the connection goes to
an address that was looked at: what the name means later makes no difference.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import httpx

from replicalab.refusals import UnsafeWebhookUrl

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LookUp = Callable[[str, int], Sequence[str]]
"""The addresses of a host, for a port; raises ``OSError`` where it has none."""

TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
"""IPv6 addresses that stand for IPv4 ones at a translator (RFC 6052, RFC 8215)."""
HOST = re.compile(rb"[A-Za-z0-9._:-]+")
"""Names in ASCII, as resolvers know them, and addresses."""
MAX_URL_CHARACTERS = 2048
MOST_PORT = 2**16 - 1


def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in found]


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What is allowed besides public addresses over https.

    Attributes:
        networks: Inner networks whose machines may be told.
        may_use_http: Whether the way may be without encryption.
        look_up: How names are resolved.
    """

    networks: Sequence[Network] = ()
    may_use_http: bool = False
    look_up: LookUp = look_up

    def check_url(self, text: str) -> httpx.URL:
        """The URL, if its form is one that may be used; raises ``UnsafeWebhookUrl``."""
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, ValueError) as error:
            raise UnsafeWebhookUrl("The URL cannot be read.") from error
        schemes = {"https", "http"} if self.may_use_http else {"https"}
        if url.scheme not in schemes:
            raise UnsafeWebhookUrl(f"The URL must begin with {' or '.join(sorted(schemes))}://.")
        if url.port is not None and not 0 < url.port <= MOST_PORT:
            raise UnsafeWebhookUrl("The port of the URL is none.")
        if (
            not HOST.fullmatch(url.raw_host)
            or url.userinfo
            or url.fragment
            or len(text) > MAX_URL_CHARACTERS
        ):
            raise UnsafeWebhookUrl("The URL needs a host, and no password or fragment.")
        return url

    def is_allowed(self, address: Address) -> bool:
        """Whether a request may go to ``address``."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self.networks):
            return True
        return address.is_global and not address.is_multicast and not _stands_for_another(address)

    def resolve(self, url: httpx.URL) -> Sequence[Address]:
        """The addresses to connect to for ``url``, which ``check_url`` has let through.

        Raises:
            UnsafeWebhookUrl: The name has no address, or one that is not allowed.
        """
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            addresses = [ip_address(text) for text in self.look_up(url.host, port)]
        except (OSError, UnicodeError) as error:
            raise UnsafeWebhookUrl(f"{url.host} has no address.") from error
        if not addresses or not all(map(self.is_allowed, addresses)):
            raise UnsafeWebhookUrl(f"{url.host} is not an address that may be told.")
        return addresses


def _stands_for_another(address: Address) -> bool:
    """Whether something on the way would send it on to an IPv4 address that nobody has checked."""
    if isinstance(address, IPv4Address):
        return False
    is_tunnel = address.sixtofour is not None or address.teredo is not None
    return is_tunnel or any(address in network for network in TRANSLATED)
