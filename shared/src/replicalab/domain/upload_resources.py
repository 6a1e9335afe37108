"""Uploads in parts: what people ask of them, and what the service shows."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum, unique
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.artifacts import Sha256
from replicalab.domain.models import Frozen
from replicalab.domain.resources import Resource
from replicalab.domain.upload_parts import MOST_PARTS, Cut

MOST_PRESIGNED = 100
"""Parts of one request."""
LARGEST_BYTES = 2**53 - 1

PartNumber = Annotated[int, Field(ge=1, le=MOST_PARTS)]
Md5 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{21}[AQgw]==$")]
"""As in the header Content-MD5: base64 of 16 bytes."""


@unique
class UploadKind(StrEnum):
    """What a file is to become."""

    DATASET = "dataset"
    GENERATOR = "generator"


@unique
class UploadState(StrEnum):
    """How far an upload is."""

    OPEN = "open"
    COMPLETED = "completed"
    ABORTED = "aborted"


class NewUpload(Frozen):
    """A file that is about to be sent."""

    kind: UploadKind = Field(strict=False)
    project_id: UUID = Field(
        default=DEFAULT_PROJECT_ID, description="``id`` of a project; else the default one."
    )
    sha256: Sha256 = Field(description="Of the whole file; checked before anything is imported.")
    size_bytes: int = Field(ge=1, le=LARGEST_BYTES)


class NewPart(Frozen):
    """A part that is about to be sent."""

    number: PartNumber
    size_bytes: int = Field(ge=1, description="``part_bytes``; of the last part, what is left.")
    md5: Md5 = Field(description="As in Content-MD5; the store takes no other bytes.")


class NewParts(Frozen):
    """Parts that are about to be sent."""

    parts: tuple[NewPart, ...] = Field(min_length=1, max_length=MOST_PRESIGNED)


class PartRead(Resource):
    """A part that has arrived."""

    number: int
    size_bytes: int


class PartTargetRead(Resource):
    """Where to PUT a part."""

    number: int
    url: str = Field(
        description="An address of the object store, to be sent no credential; or a path of this "
        "service, to be sent yours."
    )
    headers: Mapping[str, str] = Field(description="To be sent exactly so, with Content-Length.")
    expires_at: datetime


class UploadRead(Resource):
    """A file on its way."""

    id: UUID
    project_id: UUID
    owner: str
    kind: UploadKind
    sha256: Sha256 = Field(description="As declared; verified once ``state`` is 'completed'.")
    size_bytes: int
    part_bytes: int = Field(description="Size of every part but the last.")
    parts_go: Literal["to-the-store", "through-the-gateway"] = Field(
        description="Which way parts go; ``:presign`` tells where to PUT them in both cases."
    )
    state: UploadState
    parts: list[PartRead] = Field(description="What has arrived.")
    created_at: datetime
    expires_at: datetime = Field(description="Unless it is imported before.")

    @property
    def cut(self) -> Cut:
        """Its parts."""
        return Cut(self.size_bytes, self.part_bytes)
