"""Waiting for something to happen, without holding a thread or a database connection."""

import asyncio


class Wakeups:
    """Wakes everything that waits: when told of news, at shutdown, or after its timeout.

    ``notify`` and ``close`` may be called from any thread. Until the first wait there is no event
    loop to talk to, and nobody to wake.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self.is_closing = False

    def notify(self) -> None:
        """Wake everything that waits now."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Wake everything and let nothing wait any more: the server shuts down."""
        self.is_closing = True
        self.notify()

    def _wake(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.set()

    async def wait(self, timeout_seconds: float) -> None:
        """Return at the next ``notify``, or after ``timeout_seconds``."""
        if self.is_closing:
            return
        self._loop = asyncio.get_running_loop()
        if self._news is None:
            self._news = asyncio.Event()
        try:
            await asyncio.wait_for(self._news.wait(), timeout_seconds)
        except TimeoutError:
            return
