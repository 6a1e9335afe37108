"""Those who watch a thing hear of its news, and of no other's."""

import asyncio
import time
from uuid import UUID, uuid4

import pytest

from replicalab_api.http.wakeups import Wakeups

LONG, SHORT = 10.0, 0.05
ONE, OTHER = uuid4(), uuid4()

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def woken(wakeups: Wakeups, thing: UUID, timeout_seconds: float) -> bool:
    """Whether a watcher of ``thing`` is woken before its timeout."""
    with wakeups.watch(thing) as watch:
        began = time.monotonic()
        await watch.wait(timeout_seconds)
        return time.monotonic() - began < timeout_seconds


@pytest.mark.parametrize(
    ("told", "wakes"), [([ONE], True), ([OTHER, ONE], True), (None, True), ([OTHER], False)]
)
async def test_news_wake_those_who_watch_what_they_are_about(
    told: list[UUID] | None, wakes: bool
) -> None:
    wakeups = Wakeups()
    waiting = asyncio.create_task(woken(wakeups, ONE, LONG if wakes else SHORT))
    await asyncio.sleep(0)
    await asyncio.to_thread(wakeups.notify, told)
    assert await waiting is wakes


async def test_news_during_a_look_are_not_lost() -> None:
    wakeups = Wakeups()
    with wakeups.watch(ONE) as watch:
        wakeups.notify([ONE])  # the watcher looks now
        await asyncio.wait_for(watch.wait(LONG), 1)


async def test_a_burst_is_one_look() -> None:
    wakeups = Wakeups()
    with wakeups.watch(ONE) as watch:
        for _ in range(3):
            wakeups.notify([ONE])
        await asyncio.wait_for(watch.wait(LONG, pause_seconds=SHORT), 1)
        began = time.monotonic()
        await watch.wait(SHORT)
        assert time.monotonic() - began >= SHORT * 0.9, "the burst was taken in at once"


async def test_closing_wakes_everybody() -> None:
    wakeups = Wakeups()
    waiting = [asyncio.create_task(woken(wakeups, thing, LONG)) for thing in (ONE, OTHER)]
    await asyncio.sleep(0)
    wakeups.close()
    assert await asyncio.gather(*waiting) == [True, True]
    assert wakeups.is_closing


async def test_who_has_gone_leaves_nothing_behind() -> None:
    wakeups = Wakeups()
    with wakeups.watch(ONE):
        pass
    wakeups.notify([ONE, OTHER])
    await asyncio.sleep(0)
    assert not wakeups._watches
