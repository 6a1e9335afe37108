"""Routes under /v1/uploads."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter

from replicalab import errors, file_errors, refusals
from replicalab.domain.upload_resources import (
    Md5,
    NewParts,
    NewUpload,
    PartNumber,
    PartTargetRead,
    UploadRead,
)
from replicalab_api.http.authentication import Caller
from replicalab_api.http.json_bodies import JSON_BODY_ERRORS, JsonBody
from replicalab_api.http.openapi import json_body
from replicalab_api.http.problems import responses
from replicalab_api.http.uploads import MEDIA_TYPE, received
from replicalab_api.imports.uploads import ROOT, LabUploads

router = APIRouter(
    prefix=ROOT,
    tags=["uploads"],
    responses=responses(errors.DatabaseUnavailable, errors.StoreUnavailable, errors.InvalidRequest),
)


async def _uploads(request: Request) -> LabUploads:
    uploads: LabUploads = request.app.state.uploads
    return uploads


NEW: TypeAdapter[NewUpload] = TypeAdapter(NewUpload)
PARTS: TypeAdapter[NewParts] = TypeAdapter(NewParts)
Service = Annotated[LabUploads, Depends(_uploads)]
UploadId = Annotated[UUID, PathParameter(description="``id`` of the upload.")]
LIVING = responses(file_errors.UploadNotFound, file_errors.UploadExpired)
JSON_BODY = responses(*JSON_BODY_ERRORS)
EXAMPLES = {
    "data set": {
        "summary": "A data set of a gigabyte, for the default project",
        "value": {
            "kind": "dataset",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "size_bytes": 1_073_741_824,
        },
    }
}
PART_EXAMPLES = {
    "one part": {
        "summary": "The first part",
        "value": {
            "parts": [{"number": 1, "size_bytes": 8388608, "md5": "lpcGQzl6KiA8BlxWOdBj5A=="}]
        },
    }
}
PART: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The bytes of the part.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses={
        HTTPStatus.OK.value: {
            "model": UploadRead,
            "description": "You have begun it before; it goes on.",
        }
    }
    | JSON_BODY
    | responses(errors.QuotaExceeded, file_errors.TooManyUploads, refusals.ProjectNotFound),
    openapi_extra=json_body(NEW, EXAMPLES),
)
def create_upload(
    new: Annotated[NewUpload, Depends(JsonBody(NEW))],
    caller: Caller,
    uploads: Service,
    response: Response,
) -> UploadRead:
    """Begin to send a file in parts, or go on: the same file of yours is the same upload.

    Then ask ``:presign`` where to PUT its parts, PUT them in any order, ``:complete`` it, and
    name it when you bring a data set or a generator (``?upload=``), until it expires.
    """
    upload, is_new = uploads.begin(caller, new)
    response.headers["Location"] = f"{ROOT}/{upload.id}"
    if not is_new:
        response.status_code = HTTPStatus.OK
    return upload


@router.get("/{upload_id:id}", responses=LIVING)
def get_upload(upload_id: UploadId, caller: Caller, uploads: Service) -> UploadRead:
    """An upload, and which of its parts have arrived."""
    return uploads.get(caller, upload_id)


@router.delete("/{upload_id:id}", status_code=HTTPStatus.NO_CONTENT, responses=LIVING)
def delete_upload(upload_id: UploadId, caller: Caller, uploads: Service) -> None:
    """Give it up, and remove what has arrived."""
    uploads.abort(caller, upload_id)


@router.post(
    "/{upload_id}:presign",
    responses=LIVING | JSON_BODY | responses(file_errors.UploadExpired, errors.Conflict),
    openapi_extra=json_body(PARTS, PART_EXAMPLES),
)
def presign_parts(
    upload_id: UploadId,
    parts: Annotated[NewParts, Depends(JsonBody(PARTS))],
    caller: Caller,
    uploads: Service,
) -> Sequence[PartTargetRead]:
    """Where to PUT parts, for 15 minutes: to the object store, or else to this service.

    Length and MD5 are part of an address: no other bytes are taken there.
    """
    return uploads.presign(caller, upload_id, parts)


@router.put(
    "/{upload_id}/parts/{number}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(
        file_errors.UploadNotFound,
        file_errors.UploadExpired,
        errors.Conflict,
        errors.BodyTooLarge,
        errors.UnsupportedMediaType,
        errors.InvalidRequest,
        file_errors.UploadMismatch,
    ),
    openapi_extra=PART,
)
async def put_part(
    request: Request,
    upload_id: UploadId,
    number: Annotated[PartNumber, PathParameter(description="From 1.")],
    content_md5: Annotated[Md5, Header(description="Of the part: base64 of 16 bytes.")],
    caller: Caller,
    uploads: Service,
) -> None:
    """Send a part through this service, where ``:presign`` says so; again replaces it."""
    part_bytes = await run_in_threadpool(uploads.part_bytes, caller, upload_id)
    async with received(request, part_bytes) as part:
        body = await run_in_threadpool(part.file.read)
    await run_in_threadpool(uploads.put_part, caller, upload_id, number, body, content_md5)


@router.post(
    "/{upload_id}:complete",
    responses=responses(
        file_errors.UploadNotFound,
        file_errors.UploadExpired,
        file_errors.UploadIncomplete,
        file_errors.UploadMismatch,
        errors.InvalidRequest,
    ),
)
def complete_upload(upload_id: UploadId, caller: Caller, uploads: Service) -> UploadRead:
    """Put the parts together and verify size and SHA-256, which takes seconds for a gigabyte.

    A file with another digest is not kept. Completing again is no error.
    """
    return uploads.complete(caller, upload_id)
