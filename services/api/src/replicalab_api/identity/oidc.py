"""Logins at the lab's own OpenID Connect provider: authorization code with PKCE.

OpenID Connect Core 1.0, sections 3.1 and 3.1.3.7; RFC 7636 (PKCE).
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from replicalab.refusals import LoginFailed, ProviderUnavailable

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures only: no ``none``, and no HMAC, whose key the client secret would be."""
SCOPE = "openid profile email"
DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT_SECONDS = 10.0
LEEWAY_SECONDS = 60
DISCOVERY_SECONDS = 3600.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """What the lab is to its provider.

    Attributes:
        issuer: Exactly as the provider calls itself.
        client_id: Of the lab.
        client_secret: Of the lab.
        redirect_uri: Where the provider sends browsers back; registered there.
    """

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider vouches for; only issuer and subject say who it is."""

    issuer: str
    subject: str
    name: str
    display_name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """What must be remembered until the browser comes back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "PendingLogin":
        """Fresh secrets."""
        return cls(*(secrets.token_urlsafe(48) for _ in range(3)))

    @property
    def challenge(self) -> str:
        """What the provider learns of the verifier at first (RFC 7636, section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Provider:
    """An OpenID Connect provider, found by discovery."""

    def __init__(self, account: ProviderAccount) -> None:
        self._account = account
        self._metadata: Mapping[str, Any] = {}
        self._discovered_at = float("-inf")

    def authorisation_url(self, login: PendingLogin) -> str:
        """Where to send the browser; raises ``ProviderUnavailable``."""
        query = {
            "response_type": "code",
            "client_id": self._account.client_id,
            "redirect_uri": self._account.redirect_uri,
            "scope": SCOPE,
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        endpoint = str(self._discover()["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def identity(self, login: PendingLogin, code: str) -> Identity:
        """Whom the provider vouches for.

        Raises:
            LoginFailed: The provider refuses the code, or its answer cannot be trusted.
            ProviderUnavailable: The provider does not answer.
        """
        metadata = self._discover()
        try:
            id_token = self._exchange(metadata, login, code)
            claims = self._verified(id_token, login, self._keys())
        except httpx.TransportError as error:
            raise ProviderUnavailable("The login provider does not answer.") from error
        except (JoseError, httpx.HTTPError, KeyError, ValueError) as error:
            raise LoginFailed("The login provider's answer cannot be trusted.") from error
        return _identity_of(claims)

    def _exchange(self, metadata: Mapping[str, Any], login: PendingLogin, code: str) -> str:
        """The ID token for a code (RFC 6749, section 4.1.3)."""
        account = self._account
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": account.redirect_uri,
            "code_verifier": login.verifier,
        }
        # Both are form-encoded before they are put together (RFC 6749, section 2.3.1).
        basic = httpx.BasicAuth(quote_plus(account.client_id), quote_plus(account.client_secret))
        with self._client() as client:
            response = client.post(str(metadata["token_endpoint"]), data=form, auth=basic)
        return str(response.raise_for_status().json()["id_token"])

    def _verified(self, id_token: str, login: PendingLogin, keys: KeySet) -> dict[str, Any]:
        """The claims of an ID token that is the provider's, for us, for this login, and fresh."""
        claims: dict[str, Any] = jwt.decode(id_token, keys, algorithms=ALGORITHMS).claims
        account = self._account
        jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": account.issuer},
            aud={"essential": True, "value": account.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": login.nonce},
        ).validate(claims)
        if isinstance(claims["aud"], list) and claims.get("azp", account.client_id) != (
            account.client_id
        ):
            raise ValueError("the token was issued to somebody else")
        return claims

    def _keys(self) -> KeySet:
        published = self._get(str(self._discover()["jwks_uri"]))
        return KeySet.import_key_set({"keys": published["keys"]})

    def _discover(self) -> Mapping[str, Any]:
        if time.monotonic() - self._discovered_at < DISCOVERY_SECONDS:
            return self._metadata
        metadata = self._get(self._account.issuer.rstrip("/") + DISCOVERY)
        if metadata.get("issuer") != self._account.issuer:
            raise ProviderUnavailable("The login provider calls itself something else.")
        self._metadata, self._discovered_at = metadata, time.monotonic()
        return metadata

    def _get(self, url: str) -> dict[str, Any]:
        try:
            with self._client() as client:
                response = client.get(url).raise_for_status()
                document: dict[str, Any] = response.json()
                return document
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderUnavailable("The login provider does not answer.") from error

    def _client(self) -> httpx.Client:
        # What runs on this machine is never reached through a proxy.
        is_remote = urlsplit(self._account.issuer).hostname not in LOOPBACK
        return httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=is_remote)


def _identity_of(claims: Mapping[str, Any]) -> Identity:
    email = str(claims.get("email") or "")
    name = str(claims.get("preferred_username") or email.partition("@")[0])
    return Identity(
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        name=name,
        display_name=str(claims.get("name") or name),
        email=email or None,
    )
