"""Buckets on a real server: shared, atomic, gone when full; and what stands in while it is away."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from replicalab.errors import BrokerUnavailable
from replicalab.stack.ports import free_port
from replicalab.stack.valkey import EmbeddedValkey
from replicalab_api.limits.buckets import LocalBuckets
from replicalab_api.limits.shared import PREFIX, SharedBuckets, SturdyBuckets
from replicalab_api.settings import Limit
from tests.fixtures.servers import environment, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SLOW = Limit(amount=1, seconds=60, burst=20)


@pytest.fixture
def buckets(valkey_url: str) -> Iterator[SharedBuckets]:
    shared = SharedBuckets(valkey_url)
    yield shared
    shared.close()


def test_gateways_share_their_buckets(buckets: SharedBuckets, valkey_url: str) -> None:
    other = SharedBuckets(valkey_url)
    left = [one.take("a", SLOW).remaining for one in (buckets, other) * 10]
    assert left == list(range(19, -1, -1))
    refused = other.take("a", SLOW)
    assert not refused.is_allowed
    assert 55 < refused.wait_seconds <= 60
    assert 20 * 60 - 5 < refused.full_seconds <= 20 * 60
    other.close()


def test_many_at_once_get_no_more_than_there_is(buckets: SharedBuckets) -> None:
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda _: buckets.take("a", SLOW), range(100)))
    assert sum(one.is_allowed for one in taken) == 20


def test_waiting_as_long_as_it_says_is_enough(buckets: SharedBuckets) -> None:
    quick = Limit(amount=20, seconds=1, burst=2)
    for _ in range(10):
        one = buckets.take("a", quick)
        time.sleep(one.wait_seconds)
        assert one.is_allowed or buckets.take("a", quick).is_allowed


def test_what_is_given_back_can_be_taken_again(buckets: SharedBuckets) -> None:
    buckets.take("a", SLOW)
    assert buckets.take("a", SLOW, -0.5).remaining == 19
    assert buckets.take("a", SLOW, -100).remaining == 20


def test_full_buckets_take_no_place(buckets: SharedBuckets, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        buckets.take("given-back", SLOW)
        buckets.take("given-back", SLOW, -1)
        buckets.take("filled", SLOW)
        buckets.fill("filled")
        buckets.take("refilled", Limit(amount=100, seconds=1, burst=2))
        buckets.take("kept", SLOW)
        assert 0 < client.pttl(f"{PREFIX}kept") <= 60_000
        time.sleep(0.05)
        assert client.keys(f"{PREFIX}*") == [f"{PREFIX}kept".encode()]


def test_local_and_shared_buckets_decide_alike(buckets: SharedBuckets) -> None:
    local = LocalBuckets()
    for cost in (1.0, 5.0, -2.0, 0.25, 15.0, 3.0, 30.0, -50.0, 1.0):
        ours, theirs = local.take("a", SLOW, cost), buckets.take("a", SLOW, cost)
        assert (ours.is_allowed, ours.remaining) == (theirs.is_allowed, theirs.remaining)
        assert ours.wait_seconds == pytest.approx(theirs.wait_seconds, abs=0.5)
        assert ours.full_seconds == pytest.approx(theirs.full_seconds, abs=0.5)


def test_without_the_server_this_process_counts_for_itself(tmp_path: Path) -> None:
    now = 0.0
    server = EmbeddedValkey(tmp_path / "valkey", tmp_path / "valkey.log")
    server.prepare()
    sturdy = SturdyBuckets(SharedBuckets(server.url()), clock=lambda: now)
    with running(server.program(environment()), server.is_ready):
        sturdy.check()
        assert sturdy.take("a", SLOW, 15).remaining == 5
    with pytest.raises(BrokerUnavailable):
        sturdy.check()
    assert sturdy.take("a", SLOW, 15).remaining == 5, "counting begins anew"
    assert not sturdy.take("a", SLOW, 15).is_allowed, "and there is a limit"
    with running(server.program(environment()), server.is_ready):
        assert sturdy.take("a", SLOW).remaining == 4, "the server is not asked at every request"
        now += 6
        assert sturdy.take("a", SLOW).remaining == 19
        sturdy.check()


def test_a_server_that_is_away_holds_nobody_up() -> None:
    sturdy = SturdyBuckets(SharedBuckets(f"redis://127.0.0.1:{free_port()}/0"))
    began = time.monotonic()
    for _ in range(100):
        assert sturdy.take("a", Limit(amount=1, seconds=1, burst=100)).is_allowed
    assert time.monotonic() - began < 1


def test_a_full_server_is_like_none(buckets: SharedBuckets, valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(BrokerUnavailable):
                buckets.take("a", SLOW)
            assert SturdyBuckets(buckets).take("a", SLOW).is_allowed
        finally:
            client.config_set("maxmemory", "256mb")
