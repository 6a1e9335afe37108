"""Buckets that every gateway of an installation shares, and what to do while they are away."""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from replicalab.errors import BrokerUnavailable
from replicalab_api.limits.buckets import (
    ROUNDING_SECONDS,
    Buckets,
    Decision,
    LocalBuckets,
    decision,
)
from replicalab_api.settings import Limit

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)

PREFIX = "replicalab:limits:"
PATIENCE_SECONDS = 0.25
AWAY_SECONDS = 5.0

# The server's clock counts, so that gateways need not agree on the time.
TAKE = """
local burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local before = math.max(tonumber(redis.call('GET', KEYS[1]) or now) - now, 0)
local after = math.max(before + cost, 0)
if after > burst + tonumber(ARGV[3]) then
    return {0, string.format('%.6f', before)}
end
if after > 0 then
    redis.call('SET', KEYS[1], string.format('%.6f', now + after), 'PX', math.ceil(after * 1000))
else
    redis.call('DEL', KEYS[1])
end
return {1, string.format('%.6f', after)}
"""


class SharedBuckets:
    """Buckets on a Valkey or Redis server; each is a key that goes when the bucket is full.

    Args:
        url: ``redis://`` URL of the server.
    """

    def __init__(self, url: str) -> None:
        # One try, and a short one: a request must not wait for the permission to be served.
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._take = self._client.register_script(TAKE)

    def take(self, name: str, limit: Limit, cost: float = 1.0) -> Decision:
        """Take ``cost`` tokens, all or nothing; a negative cost gives them back.

        Raises:
            BrokerUnavailable: The server does not answer.
        """
        each = limit.seconds_each
        arguments: list[float] = [limit.burst * each, cost * each, ROUNDING_SECONDS]
        try:
            answer: Any = self._take([PREFIX + name], arguments)
        except redis.RedisError as error:
            raise BrokerUnavailable(f"rate limits: {type(error).__name__}") from error
        is_allowed, full_seconds = bool(answer[0]), float(answer[1])
        return decision(limit, is_allowed=is_allowed, full_seconds=full_seconds, cost=cost)

    def fill(self, name: str) -> None:
        """Make a bucket full; raises ``BrokerUnavailable``."""
        try:
            self._client.delete(PREFIX + name)
        except redis.RedisError as error:
            raise BrokerUnavailable(f"rate limits: {type(error).__name__}") from error

    def check(self) -> None:
        """Raise ``BrokerUnavailable`` unless the server answers."""
        try:
            self._client.ping()
        except redis.RedisError as error:
            raise BrokerUnavailable(f"rate limits: {type(error).__name__}") from error

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


class SturdyBuckets:
    """Shared buckets or, while these are away, those of this process.

    Limits then hold for each gateway by itself. Whether the server is back is asked every few
    seconds, not by every request.
    """

    def __init__(
        self,
        shared: SharedBuckets,
        local: LocalBuckets | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._local = local or LocalBuckets()
        self._clock = clock
        self._away_until = float("-inf")

    def take(self, name: str, limit: Limit, cost: float = 1.0) -> Decision:
        """Take ``cost`` tokens, all or nothing; a negative cost gives them back."""
        return self._ask(lambda buckets: buckets.take(name, limit, cost))

    def fill(self, name: str) -> None:
        """Make a bucket full."""
        self._local.fill(name)
        self._ask(lambda buckets: buckets.fill(name))

    def check(self) -> None:
        """Raise ``BrokerUnavailable`` while the buckets of this process stand in."""
        self._shared.check()

    def _ask(self, question: Callable[[Buckets], Answer]) -> Answer:
        if self._clock() >= self._away_until:
            try:
                return question(self._shared)
            except BrokerUnavailable as error:
                logger.warning("rate limits are this process's own for now: %s", error.detail)
                self._away_until = self._clock() + AWAY_SECONDS
        return question(self._local)
