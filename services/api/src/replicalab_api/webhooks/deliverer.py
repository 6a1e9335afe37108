"""Sending what is due, and nothing to where it must not go."""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import httpx

from replicalab.errors import Unavailable
from replicalab.refusals import UnsafeWebhookUrl
from replicalab_api.settings import WebhookSettings
from replicalab_api.webhooks.addresses import Address, AddressPolicy
from replicalab_api.webhooks.outbox import DueDelivery, Outbox, Outcome
from replicalab_api.webhooks.signatures import WebhookSecrets

AT_ONCE = 20
PAUSE_SECONDS = 1.0
FORGET_SECONDS = 3600.0
CONNECT_SECONDS = 3.0
MOST_ERROR_CHARACTERS = 200
USER_AGENT = "ReplicaLab-Webhook/1"

logger = logging.getLogger(__name__)


class Deliverer(threading.Thread):
    """Delivers in the background of a process until it is stopped.

    Args:
        outbox: What is due.
        secrets: What it is signed with.
        settings: Where it may go, and how long that may take.
    """

    def __init__(self, outbox: Outbox, secrets: WebhookSecrets, settings: WebhookSettings) -> None:
        super().__init__(name="webhooks", daemon=True)
        self._outbox = outbox
        self._secrets = secrets
        self._policy = AddressPolicy(settings.networks, may_use_http=settings.may_use_http)
        self._timeout_seconds = settings.timeout_seconds
        own = settings.ca_file
        self._trust = True if own is None else ssl.create_default_context(cafile=own)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Deliver until stopped; a database that is away is waited for."""
        forgot_at = float("-inf")
        while not self._stopping.is_set():
            try:
                if time.monotonic() - forgot_at >= FORGET_SECONDS:
                    self._outbox.forget_old()
                    forgot_at = time.monotonic()
                is_idle = self.deliver_due() == 0
            except Unavailable as error:
                logger.warning("webhooks wait: %s", error.detail)
                is_idle = True
            if is_idle:
                self._stopping.wait(PAUSE_SECONDS)

    def stop(self) -> None:
        """Let what is being sent end, and begin no more."""
        self._stopping.set()

    def deliver_due(self) -> int:
        """Make one attempt at what is due, of each webhook one; returns how many."""
        due = self._outbox.take(AT_ONCE)
        if due:
            outcomes = asyncio.run(self._send_all(due))
            for delivery, outcome in zip(due, outcomes, strict=True):
                self._outbox.settle(delivery, outcome)
                level = logging.INFO if outcome.error is None else logging.WARNING
                logger.log(level, "webhook %s: %s", delivery.webhook_id, outcome.error or "told")
        return len(due)

    async def _send_all(self, due: Sequence[DueDelivery]) -> list[Outcome]:
        async with httpx.AsyncClient(
            timeout=httpx.Timeout(self._timeout_seconds, connect=CONNECT_SECONDS),
            verify=self._trust,
            follow_redirects=False,
            trust_env=False,
        ) as client:
            return await asyncio.gather(*(self._send(client, one) for one in due))

    async def _send(self, client: httpx.AsyncClient, due: DueDelivery) -> Outcome:
        try:
            # In all: a receiver that sends a byte now and then would outlast any other timeout.
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._post(client, due)
                # Nothing of the answer's body is read, however long it is.
                await response.aclose()
        except TimeoutError:
            return Outcome(error=f"No answer in {self._timeout_seconds:g} s.")
        except UnsafeWebhookUrl as error:
            return Outcome(error=error.detail)
        except httpx.HTTPError as error:
            text = f"{type(error).__name__}: {error}"
            return Outcome(error=text[:MOST_ERROR_CHARACTERS])
        if response.is_success:
            return Outcome(status=response.status_code)
        return Outcome(
            status=response.status_code,
            error=f"The answer was {response.status_code}.",
            retry_after_seconds=_seconds(response.headers.get("retry-after", "")),
        )

    async def _post(self, client: httpx.AsyncClient, due: DueDelivery) -> httpx.Response:
        """Send to the first of the addresses that takes connections."""
        url = self._policy.check_url(due.url)
        *others, last = await asyncio.to_thread(self._policy.resolve, url)
        for address in others:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await client.send(self._request(client, due, url, address), stream=True)
        return await client.send(self._request(client, due, url, last), stream=True)

    def _request(
        self, client: httpx.AsyncClient, due: DueDelivery, url: httpx.URL, address: Address
    ) -> httpx.Request:
        """To the very address that was looked at, under the name that the certificate must have."""
        headers = self._secrets.headers(
            due.webhook_id,
            due.secret_numbers,
            delivery_id=due.id,
            timestamp=int(time.time()),
            body=due.body,
        )
        return client.build_request(
            "POST",
            url.copy_with(host=str(address)),
            content=due.body,
            headers=headers
            | {
                "Host": url.netloc.decode("ascii"),
                "Content-Type": "application/json",
                "User-Agent": USER_AGENT,
            },
            extensions={"sni_hostname": url.host},
        )


def _seconds(retry_after: str) -> float:
    return float(retry_after[:9]) if retry_after.isascii() and retry_after.isdigit() else 0.0
