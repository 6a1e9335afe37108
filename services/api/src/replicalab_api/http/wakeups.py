"""Waiting for something to happen, without holding a thread or a database connection."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from uuid import UUID


class Watch:
    """The news of one thing, for one who waits for them again and again.

    News that come while the watcher looks are not lost: the next wait returns at once.

    Attributes:
        told_at: When there were news the last time, or the watch began, by the loop's clock.
    """

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.told_at = asyncio.get_running_loop().time()

    def tell(self) -> None:
        """There are news; called in the event loop."""
        self.told_at = asyncio.get_running_loop().time()
        self._news.set()

    async def wait(self, timeout_seconds: float, *, pause_seconds: float = 0.0) -> None:
        """Return ``pause_seconds`` after news, so that a burst is one look, or at the timeout."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._news.wait()
                await asyncio.sleep(pause_seconds)
        except TimeoutError:
            pass
        self._news.clear()


class Wakeups:
    """Wakes those who watch a thing: when told of its news, and all of them at shutdown.

    ``notify`` and ``close`` may be called from any thread. Until the first watch there is no event
    loop to talk to, and nobody to wake.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watches: defaultdict[UUID, set[Watch]] = defaultdict(set)
        self.is_closing = False

    @property
    def is_anybody_watching(self) -> bool:
        """Whether there is anybody to wake."""
        return bool(self._watches)

    def notify(self, things: Collection[UUID] | None = None) -> None:
        """Wake those who watch one of ``things``; all, where it is not known what has news."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, things)

    def close(self) -> None:
        """Wake everybody for good: the server shuts down, and nobody is to wait again."""
        self.is_closing = True
        self.notify()

    @contextmanager
    def watch(self, thing: UUID) -> Iterator[Watch]:
        """Hear of the news of ``thing`` from now on; for code in the event loop."""
        self._loop = asyncio.get_running_loop()
        watch = Watch()
        self._watches[thing].add(watch)
        try:
            yield watch
        finally:
            self._watches[thing].discard(watch)
            if not self._watches[thing]:
                del self._watches[thing]

    def _tell(self, things: Collection[UUID] | None) -> None:
        for thing in list(self._watches) if things is None else things:
            for watch in self._watches.get(thing, ()):
                watch.tell()
