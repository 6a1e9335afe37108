"""Token buckets: bursts, refilling, refunds, and nothing beyond what a limit says."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicalab_api.limits.buckets import LocalBuckets
from replicalab_api.settings import Limit

FIVE_A_SECOND = Limit(amount=5, seconds=1, burst=20)


@dataclass
class Clock:
    now: float = 1e6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def buckets(clock: Clock) -> LocalBuckets:
    return LocalBuckets(clock)


def test_a_burst_is_allowed_and_then_one_at_a_time(buckets: LocalBuckets, clock: Clock) -> None:
    taken = [buckets.take("a", FIVE_A_SECOND) for _ in range(20)]
    assert [one.remaining for one in taken] == list(range(19, -1, -1))
    assert all(one.is_allowed and one.wait_seconds == 0 for one in taken)
    refused = buckets.take("a", FIVE_A_SECOND)
    assert not refused.is_allowed
    assert refused.wait_seconds == pytest.approx(0.2)
    assert refused.full_seconds == pytest.approx(4)
    clock.now += refused.wait_seconds
    assert buckets.take("a", FIVE_A_SECOND).is_allowed
    assert not buckets.take("a", FIVE_A_SECOND).is_allowed


def test_a_refusal_takes_nothing(buckets: LocalBuckets, clock: Clock) -> None:
    for _ in range(1000):
        buckets.take("a", FIVE_A_SECOND)
    clock.now += 4
    assert buckets.take("a", FIVE_A_SECOND).remaining == 19


def test_buckets_know_nothing_of_each_other(buckets: LocalBuckets) -> None:
    for _ in range(21):
        buckets.take("a", FIVE_A_SECOND)
    assert buckets.take("b", FIVE_A_SECOND).remaining == 19


def test_what_is_given_back_can_be_taken_again_but_no_more(buckets: LocalBuckets) -> None:
    for _ in range(20):
        buckets.take("a", FIVE_A_SECOND)
        buckets.take("a", FIVE_A_SECOND, -0.9)
    assert buckets.take("a", FIVE_A_SECOND).remaining == 17
    assert buckets.take("a", FIVE_A_SECOND, -100).remaining == 20


def test_a_filled_bucket_is_full(buckets: LocalBuckets) -> None:
    buckets.take("a", FIVE_A_SECOND)
    buckets.fill("a")
    buckets.fill("unknown")
    assert buckets.take("a", FIVE_A_SECOND).remaining == 19


def test_many_names_do_not_fill_the_memory(clock: Clock) -> None:
    buckets = LocalBuckets(clock, most=10)
    for number in range(1000):
        buckets.take("kept", FIVE_A_SECOND)
        buckets.take(str(number), FIVE_A_SECOND)
    assert not buckets.take("kept", FIVE_A_SECOND).is_allowed
    assert buckets.take("0", FIVE_A_SECOND).remaining == 19


@settings(max_examples=100, deadline=None)
@given(
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=120),
    burst=st.integers(1, 30),
    amount=st.floats(0.1, 50),
)
def test_no_span_of_time_lets_more_through_than_the_limit(
    pauses: list[float], burst: int, amount: float
) -> None:
    clock = Clock()
    buckets, limit = LocalBuckets(clock), Limit(amount=amount, seconds=1, burst=burst)
    allowed: list[float] = []
    for pause in pauses:
        clock.now += pause
        if buckets.take("a", limit).is_allowed:
            allowed.append(clock.now)
    for first, begin in enumerate(allowed):
        for last in range(first, len(allowed)):
            number = last - first + 1
            assert number <= burst + amount * (allowed[last] - begin) + 1e-3
