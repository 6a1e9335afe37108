"""A client that asks as fast as it is answered, and costs little beside the server it measures.

HTTP/1.1 over kept connections, written out beforehand; answers must say their length.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it.

    Attributes:
        seconds: From the first request to the last answer.
        latencies: Of each answer, seconds.
    """

    seconds: float
    latencies: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency, in ms, within which this share of the answers came."""
        ordered = sorted(self.latencies)
        return 1e3 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def request(method: str, url: str, token: str = "", body: bytes = b"") -> bytes:
    """The bytes of a request."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def load(port: int, requests: Sequence[bytes], *, connections: int, status: int) -> Load:
    """Send ``requests`` over so many connections at once.

    Raises:
        RuntimeError: An answer has another status.
    """
    return asyncio.run(_load(port, requests, connections, status))


async def _load(port: int, requests: Sequence[bytes], connections: int, status: int) -> Load:
    waiting = iter(requests)
    latencies: list[float] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for one in waiting:
            began = time.perf_counter()
            writer.write(one)
            await _answered(reader, status)
            latencies.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(connections)))
    return Load(time.perf_counter() - began, tuple(latencies))


async def _answered(reader: asyncio.StreamReader, status: int) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    if int(head.split(maxsplit=2)[1]) != status:
        raise RuntimeError(f"{head.decode()}{body.decode(errors='replace')[:500]}")


class Streams:
    """Event streams that stay open beside everything else; use as a context manager."""

    def __init__(self, port: int, one: bytes, number: int) -> None:
        self._port, self._one, self._number = port, one, number

    async def __aenter__(self) -> None:
        pairs = [
            await asyncio.open_connection("127.0.0.1", self._port) for _ in range(self._number)
        ]
        self._writers = [writer for _, writer in pairs]
        for reader, writer in pairs:
            writer.write(self._one)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise RuntimeError(head.decode())

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()


def load_beside_streams(
    port: int, requests: Sequence[bytes], stream: bytes, *, connections: int, streams: int
) -> Load:
    """As ``load``, while so many event streams are open; answers must be 200."""

    async def both() -> Load:
        async with Streams(port, stream, streams):
            return await _load(port, requests, connections, 200)

    return asyncio.run(both())
