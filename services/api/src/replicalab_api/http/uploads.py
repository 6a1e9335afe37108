"""Reading a large body: to a file on disk, with its digest, in bounded memory."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryFile

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from replicalab.domain.artifacts import BINARY, ArtifactRef
from replicalab.errors import BodyTooLarge, UnsupportedMediaType
from replicalab.storage.sources import FileSource

MEDIA_TYPE = BINARY
PIECE_BYTES = 2**20


@asynccontextmanager
async def received(
    request: Request, max_bytes: int, *, larger_at: str | None = None
) -> AsyncIterator[FileSource]:
    """The request's body; nothing of it is left afterwards, however the request ends.

    Args:
        request: Whose body nobody has read.
        max_bytes: Longer ones are given up at once.
        larger_at: Where longer ones are taken in parts.

    Raises:
        UnsupportedMediaType: It is not declared as plain bytes.
        BodyTooLarge: It has, or says it has, more than ``max_bytes``.
    """
    _check_declaration(request, max_bytes, larger_at)
    with TemporaryFile() as file:
        digest, size_bytes, held = hashlib.sha256(), 0, bytearray()

        def keep(piece: bytes) -> None:
            digest.update(piece)
            file.write(piece)

        async for chunk in request.stream():
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise _too_large(max_bytes, larger_at)
            held += chunk
            if len(held) >= PIECE_BYTES:
                await run_in_threadpool(keep, bytes(held))
                held.clear()
        await run_in_threadpool(keep, bytes(held))
        file.seek(0)
        ref = ArtifactRef(sha256=digest.hexdigest(), size_bytes=size_bytes, media_type=MEDIA_TYPE)
        yield FileSource(file, ref)


def _check_declaration(request: Request, max_bytes: int, larger_at: str | None) -> None:
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Compressed request bodies are not read.")
    declared_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared_type != MEDIA_TYPE:
        raise UnsupportedMediaType(f"Content-Type must be {MEDIA_TYPE}.")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared[:20]) > max_bytes:
        raise _too_large(max_bytes, larger_at)


def _too_large(max_bytes: int, larger_at: str | None) -> BodyTooLarge:
    if larger_at is None:
        return BodyTooLarge(f"The file may have {max_bytes} bytes.", max_bytes=max_bytes)
    return BodyTooLarge(
        f"One request may carry {max_bytes} bytes of a file; send larger files in parts: "
        f"POST {larger_at}.",
        max_bytes=max_bytes,
        uploads=larger_at,
    )
