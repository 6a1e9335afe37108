"""Giving out artifacts: by presigned URL where there is one, else through the gateway."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

from fastapi import Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from replicalab.domain.artifacts import ArtifactRef, Damage
from replicalab.errors import ArtifactCorrupt, ArtifactNotFound
from replicalab.file_errors import ArtifactMissing
from replicalab.storage.objects import ObjectStore
from replicalab_api.http.conditional import is_fresh
from replicalab_api.http.ranges import ByteRange, parse_range

PRESIGNED_SECONDS = 300


class Damages(Protocol):
    """Who remembers which bytes are damaged."""

    def known_damages(self, digests: Sequence[str]) -> Mapping[str, Damage]:
        """What is known to be wrong with bytes, by their digest."""

    def note_damage(self, sha256: str, damage: Damage) -> None:
        """Remember what is wrong with them."""


def _problem(ref: ArtifactRef, damage: Damage) -> ArtifactCorrupt:
    """The problem of somebody who asks for damaged bytes."""
    if damage is Damage.MISSING:
        return ArtifactMissing(f"The store has lost the bytes of {ref.sha256}.", sha256=ref.sha256)
    return ArtifactCorrupt(
        f"The store does not hold the {ref.size_bytes} bytes of {ref.sha256}.", sha256=ref.sha256
    )


def verified_chunks(chunks: Iterator[bytes], ref: ArtifactRef, damages: Damages) -> Iterator[bytes]:
    """Pass ``chunks`` on, but the last one only once the digest of all of them is right.

    Raises:
        ArtifactCorrupt: They are not the bytes of ``ref``; the receiver has an incomplete answer.
    """
    digest, held = hashlib.sha256(), b""
    for chunk in chunks:
        digest.update(chunk)
        if held:
            yield held
        held = chunk
    if digest.hexdigest() != ref.sha256:
        damages.note_damage(ref.sha256, Damage.CORRUPT)
        raise _problem(ref, Damage.CORRUPT)
    yield held


def _first_is_there(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """``chunks``, its first one already read, so that early failures still become problems."""
    first = next(chunks, b"")

    def chained() -> Iterator[bytes]:
        yield first
        yield from chunks

    return chained()


def check_undamaged(refs: Sequence[ArtifactRef], damages: Damages) -> None:
    """Raise ``ArtifactCorrupt`` or ``ArtifactMissing`` for the first that is known to be so."""
    known = damages.known_damages([ref.sha256 for ref in refs])
    for ref in refs:
        if ref.sha256 in known:
            raise _problem(ref, known[ref.sha256])


def check_presence(objects: ObjectStore, ref: ArtifactRef, damages: Damages) -> None:
    """Raise ``ArtifactMissing`` unless the store holds so many bytes under the digest."""
    stat = objects.stat(ref.store_key)
    if stat is None or stat.size_bytes != ref.size_bytes:
        damages.note_damage(ref.sha256, Damage.MISSING)
        raise _problem(ref, Damage.MISSING)


def whole_chunks(objects: ObjectStore, ref: ArtifactRef, damages: Damages) -> Iterator[bytes]:
    """The bytes of ``ref``, as ``verified_chunks`` passes them on.

    Raises:
        ArtifactMissing: They are gone.
        ArtifactCorrupt: They are not those of ``ref``; also raised by the iterator.
    """
    return _stream(objects, ref, None, damages)


def _stream(
    objects: ObjectStore, ref: ArtifactRef, part: ByteRange | None, damages: Damages
) -> Iterator[bytes]:
    try:
        if part is not None:
            chunks = objects.stream(ref.store_key, start=part.start, end=part.end)
            return _first_is_there(chunks)
        whole = objects.stream(ref.store_key)
        return _first_is_there(verified_chunks(whole, ref, damages))
    except ArtifactNotFound as error:
        damages.note_damage(ref.sha256, Damage.MISSING)
        raise _problem(ref, Damage.MISSING) from error


def artifact_response(
    request: Request,
    objects: ObjectStore,
    ref: ArtifactRef,
    file_name: str,
    damages: Damages,
) -> Response:
    """The answer that carries ``ref``, or a part of it, or leads to it.

    Raises:
        RangeNotSatisfiable: The range asked for lies outside.
        ArtifactMissing: The stored bytes are gone.
        ArtifactCorrupt: They are not those of ``ref``.
    """
    etag = f'"{ref.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f'attachment; filename="{file_name}"',
    }
    if is_fresh(request.headers.get("if-none-match"), etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    check_undamaged([ref], damages)
    check_presence(objects, ref, damages)
    url = objects.presigned_get_url(
        ref.store_key,
        file_name=file_name,
        media_type=ref.media_type,
        expires_seconds=PRESIGNED_SECONDS,
    )
    if url is not None:
        cache = f"private, max-age={PRESIGNED_SECONDS // 2}"
        return RedirectResponse(url, HTTPStatus.FOUND, headers={"Cache-Control": cache})
    is_same = request.headers.get("if-range", etag) == etag
    part = parse_range(request.headers.get("range"), ref.size_bytes) if is_same else None
    headers["Content-Length"] = str(part.end - part.start if part else ref.size_bytes)
    status = HTTPStatus.OK
    if part is not None:
        status = HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = part.content_range
    chunks = _stream(objects, ref, part, damages)
    return StreamingResponse(chunks, status, headers=headers, media_type=ref.media_type)
