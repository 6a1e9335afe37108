"""The file of a request that brings something: its body, or an upload that it names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from replicalab.domain.accounts import Principal
from replicalab.domain.upload_resources import UploadKind
from replicalab.errors import InvalidRequest
from replicalab.storage.sources import Source
from replicalab_api.http.uploads import received
from replicalab_api.imports.queries import ImportQuery
from replicalab_api.imports.uploads import ROOT, LabUploads


@asynccontextmanager
async def file_of(
    request: Request, query: ImportQuery, caller: Principal, kind: UploadKind
) -> AsyncIterator[Source]:
    """The file; an upload is gone once the block has ended well.

    Raises:
        InvalidRequest: There are both, or the upload was begun for something else.
        UploadIncomplete: The upload is not completed.
        BodyTooLarge: The body is larger than any may be.
        UnsupportedMediaType: The body is not declared as plain bytes.
    """
    uploads: LabUploads = request.app.state.uploads
    if query.upload is None:
        async with received(request, uploads.max_direct_bytes(kind), larger_at=ROOT) as source:
            yield source
        return
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        raise InvalidRequest("Send the file as the body, or name an upload; not both.")
    yield await run_in_threadpool(uploads.source, caller, query.upload, kind, query.project)
    await run_in_threadpool(uploads.release, query.upload)
