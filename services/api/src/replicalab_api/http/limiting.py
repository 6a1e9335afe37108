"""How often callers may ask: charging requests, and telling callers how they stand."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from threading import Lock
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from replicalab.domain.accounts import Principal
from replicalab.refusals import TooManyRequests
from replicalab_api.limits.buckets import Buckets, Decision
from replicalab_api.settings import Limit, LimitGroup, LimitSettings

COST_OF_FRESH_COPY = 0.1
"""Of an answer 304, which costs no more than the look."""
STREAM_RETRY_SECONDS = 10
STREAM_ADVICE = "close one, or ask for the experiment itself now and then."
EXPORT_ADVICE = "wait until one has arrived."
NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request has taken, and how its caller stands afterwards."""

    group: LimitGroup
    limit: Limit
    bucket: str
    decision: Decision

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers-10."""
        window = ceil(self.limit.burst * self.limit.seconds_each)
        left, full = self.decision.remaining, ceil(self.decision.full_seconds)
        return {
            "RateLimit-Policy": f'"{self.group}";q={self.limit.burst};w={window}',
            "RateLimit": f'"{self.group}";r={left};t={full}',
        }

    @property
    def refusal(self) -> TooManyRequests:
        """The problem of a caller who must wait."""
        limit, wait = self.limit, max(1, ceil(self.decision.wait_seconds))
        return TooManyRequests(
            f"{self.group}: {limit.amount:g} in {limit.seconds:g} s are allowed, and "
            f"{limit.burst} at once. Ask again in {wait} s.",
            retry_after_seconds=wait,
            limit=self.group,
        )


def address_of(request: Request) -> str:
    """Where the request comes from, as far as the server knows."""
    return request.client.host if request.client else ""


def _neighbourhood(address: str) -> str:
    """An address, or the /64 of one of IPv6: a single machine may use all of that."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)


class RateLimits:
    """Charges requests to buckets.

    Args:
        buckets: Where they are kept.
        limits: How much each holds.
    """

    def __init__(self, buckets: Buckets, limits: LimitSettings) -> None:
        self._buckets = buckets
        self._limits = limits

    def charge_caller(self, request: Request, caller: Principal, group: LimitGroup) -> None:
        """Charge a request to its caller; raises ``TooManyRequests``."""
        self._charge(request, group, str(caller.user_id))

    def charge_address(self, request: Request) -> None:
        """Charge a request of nobody known to its address; raises ``TooManyRequests``."""
        self._charge(request, LimitGroup.ANONYMOUS, _neighbourhood(address_of(request)))

    def _charge(self, request: Request, group: LimitGroup, whose: str) -> None:
        limit, bucket = self._limits.of(group), f"{group}:{whose}"
        charge = Charge(group, limit, bucket, self._buckets.take(bucket, limit))
        request.state.charge = charge
        if not charge.decision.is_allowed:
            raise charge.refusal

    def give_back(self, charge: Charge) -> None:
        """Return most of what an answer took that had nothing to tell."""
        self._buckets.take(charge.bucket, charge.limit, COST_OF_FRESH_COPY - 1)


def rate_limits_of(app: FastAPI) -> RateLimits:
    """Those that the gateway was equipped with."""
    limits: RateLimits = app.state.rate_limits
    return limits


def charge_address(request: Request) -> None:
    """Charge a request to its address; raises ``TooManyRequests``."""
    rate_limits_of(request.app).charge_address(request)


class RateLimitFields:
    """Middleware that tells callers how they stand."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_fields(message: Message) -> None:
            charge: Charge | None = scope["state"].get("charge")
            if charge is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(charge.headers)
                if message["status"] == NOT_MODIFIED:
                    await run_in_threadpool(rate_limits_of(scope["app"]).give_back, charge)
            await send(message)

        await self._app(scope, receive, send_with_fields)


class StreamPlaces:
    """How many long answers of one kind each user may have open at this gateway.

    Args:
        most: So many.
        limit: Their name in refusals.
        advice: What a refusal tells to do instead.
    """

    def __init__(self, most: int, limit: str = "streams", advice: str = STREAM_ADVICE) -> None:
        self._most = most
        self._limit = limit
        self._advice = advice
        self._open: Counter[UUID] = Counter()
        self._lock = Lock()

    @contextmanager
    def taken(self, caller: Principal) -> Iterator[None]:
        """One place, for as long as the block lasts; raises ``TooManyRequests``."""
        user = caller.user_id
        with self._lock:
            if self._open[user] >= self._most:
                raise TooManyRequests(
                    f"{self._most} {self._limit} are open already; {self._advice}",
                    retry_after_seconds=STREAM_RETRY_SECONDS,
                    limit=self._limit,
                )
            self._open[user] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[user] -= 1
                if not self._open[user]:
                    del self._open[user]
