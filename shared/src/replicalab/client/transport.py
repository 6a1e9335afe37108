"""Requests that survive a restart of the service."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from replicalab.client.backoff import Backoff
from replicalab.client.problems import error_of
from replicalab.errors import (
    ArtifactCorrupt,
    InvalidRequest,
    ReplicaLabError,
    ServiceUnreachable,
    Unavailable,
)
from replicalab.refusals import TooManyRequests

_log = logging.getLogger(__name__)

ATTEMPTS_IN_SILENCE = 3
"""After so many, within two seconds or so, it is no restart that nobody need hear of."""

STREAM_SILENCE_SECONDS = 45.0
"""The service sends a sign of life every 15 seconds."""


def _unreachable(client: httpx.Client, error: httpx.HTTPError) -> ServiceUnreachable:
    reason = str(error) or type(error).__name__
    return ServiceUnreachable(f"{client.base_url} does not answer: {reason}")


def _retry_after(response: httpx.Response) -> float:
    """Seconds; services say so many, proxies may say until when (RFC 9110, section 10.2.3)."""
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    zoned = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (zoned - datetime.now(UTC)).total_seconds())


def is_temporary(error: ReplicaLabError) -> bool:
    """Whether the very same request may work later."""
    is_away = isinstance(error, Unavailable) and not isinstance(error, ArtifactCorrupt)
    return is_away or isinstance(error, TooManyRequests)


class Transport:
    """Sends requests that may be repeated, and repeats them while the service is away."""

    def __init__(self, client: httpx.Client, backoff: Backoff) -> None:
        self._client = client
        self.backoff = backoff

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        timeout_seconds: float | None = None,
        is_repeatable: bool = True,
    ) -> httpx.Response:
        """The answer, once there is one that is not an error.

        A request that is not ``is_repeatable`` is sent once, whatever comes of it, and so must be
        one whose ``content`` comes in pieces.

        Raises:
            ReplicaLabError: The error of the problem document that came instead;
                ``ServiceUnreachable`` when nothing came, ``InvalidRequest`` when a header holds
                what HTTP forbids.
        """
        try:
            request = self._client.build_request(
                method,
                path,
                params=params,
                headers=headers,
                content=content,
                timeout=timeout_seconds or httpx.USE_CLIENT_DEFAULT,
            )
        except UnicodeEncodeError as failure:
            raise InvalidRequest(f"{failure.object!r} cannot be sent in a header.") from failure
        waiting = self.backoff.begin()
        while True:
            pause = 0.0
            try:
                response = self._client.send(request)
                if response.is_success:
                    return response
                pause, error = _retry_after(response), error_of(response)
            except httpx.LocalProtocolError as failure:  # no server has seen it, nor ever will
                raise InvalidRequest(f"The request cannot be sent: {failure}.") from failure
            except httpx.TransportError as failure:
                error = _unreachable(self._client, failure)
            if not (is_repeatable and is_temporary(error) and waiting.wait(pause)):
                raise error
            if waiting.attempts == ATTEMPTS_IN_SILENCE:
                _log.warning("%s; trying again for %.0f s", error.detail, waiting.seconds_left)

    def put_to_store(self, url: str, headers: Mapping[str, str], content: bytes) -> None:
        """PUT to an address of the object store, once, and without the credential of the service.

        Raises:
            ServiceUnreachable: The store refuses, or does not answer.
        """
        request = self._client.build_request("PUT", url, headers=headers, content=content)
        request.headers.pop("Authorization", None)
        host = request.url.host
        try:
            response = self._client.send(request, follow_redirects=False)
        except httpx.TransportError as failure:
            reason = str(failure) or type(failure).__name__
            raise ServiceUnreachable(f"The store at {host} does not answer: {reason}") from failure
        if not response.is_success:
            raise ServiceUnreachable(f"The store at {host} answers {response.status_code}.")

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """An answer whose body is still to come; not repeated, for the caller knows where to go on.

        Raises:
            ReplicaLabError: As ``send``; also when the body breaks off.
        """
        timeout = httpx.Timeout(self._client.timeout.connect, read=STREAM_SILENCE_SECONDS)
        try:
            with self._client.stream(
                "GET", path, headers=headers, timeout=timeout, follow_redirects=True
            ) as response:
                if not response.is_success:
                    response.read()
                    raise error_of(response)
                yield response
        except httpx.HTTPError as failure:
            raise _unreachable(self._client, failure) from failure

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
