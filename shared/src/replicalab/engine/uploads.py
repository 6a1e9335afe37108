"""Files in parts: begun, received by the store, put together and verified, given up, expired."""

import base64
import hashlib
from collections.abc import Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from replicalab.db.database import Database
from replicalab.db.uploads import UploadRow, key_of
from replicalab.domain.artifacts import BINARY, ArtifactRef
from replicalab.domain.upload_parts import PART_BYTES, Cut, part_bytes_of
from replicalab.domain.upload_resources import (
    NewPart,
    NewUpload,
    PartRead,
    UploadRead,
    UploadState,
)
from replicalab.engine import upload_rows
from replicalab.engine.upload_completion import UploadCompletion
from replicalab.engine.upload_removal import UploadRemoval
from replicalab.engine.usage import check_quota
from replicalab.errors import Conflict, InvalidRequest
from replicalab.file_errors import UploadExpired, UploadIncomplete, UploadMismatch
from replicalab.storage.objects import ObjectStore
from replicalab.storage.presigning import PresignedPut
from replicalab.storage.sources import ObjectSource


class Uploads:
    """Uploads on PostgreSQL and the object store.

    Where a method takes ``owner_id``, somebody else's upload is not found; None finds anybody's.
    All of them raise ``UploadNotFound``, ``UploadExpired`` and ``StoreUnavailable``.

    Args:
        database: Knows which uploads there are.
        objects: Has their parts.
        life_seconds: An upload that is not imported by then is removed.
        part_bytes: Size of parts, unless a file needs larger ones; S3 takes none below 5 MiB.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        *,
        life_seconds: float,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._database = database
        self._objects = objects
        self._life_seconds = life_seconds
        self._part_bytes = part_bytes
        self._removal = UploadRemoval(database, objects)
        self._completion = UploadCompletion(database, objects, self._removal)

    def begin(self, new: NewUpload, *, owner: str, owner_id: UUID) -> tuple[UploadRead, bool]:
        """The upload of a file, and whether it is a new one: a living one of the same goes on.

        Raises:
            QuotaExceeded: The owner has used up their compute.
            TooManyUploads: The owner has too many that are not imported yet.
        """
        with self._database.transaction() as session:
            check_quota(session, owner)
            found = upload_rows.same(session, owner_id, new)
            if found is None:
                upload_rows.check_number(session, owner_id)
        if found is not None:
            try:
                return self._read(found), False
            except UploadExpired:
                self._removal.end(found)  # the store has lost it
        row, is_new = self._add(new, owner, owner_id)
        return self._read(row), is_new

    def _add(self, new: NewUpload, owner: str, owner_id: UUID) -> tuple[UploadRow, bool]:
        upload_id = uuid7()
        key = key_of(upload_id)
        store_upload_id = self._objects.incoming.begin(key, BINARY)
        row = UploadRow(
            id=upload_id,
            owner=owner,
            owner_id=owner_id,
            project_id=new.project_id,
            kind=new.kind,
            declared_sha256=new.sha256,
            size_bytes=new.size_bytes,
            part_bytes=part_bytes_of(new.size_bytes, self._part_bytes),
            store_upload_id=store_upload_id,
            state=UploadState.OPEN,
        )
        kept: UploadRow | None = None
        try:
            with self._database.transaction() as session:
                upload_rows.lock_owner(session, owner_id)
                kept = upload_rows.same(session, owner_id, new)
                kept = kept or upload_rows.add(session, row, self._life_seconds)
        finally:
            if kept is not row:
                self._objects.incoming.abort(key, store_upload_id)
        return kept, kept is row

    def get(self, upload_id: UUID, owner_id: UUID | None) -> UploadRead:
        """An upload, and which of its parts have arrived."""
        return self._read(self._living(upload_id, owner_id))

    def part_bytes(self, upload_id: UUID, owner_id: UUID | None) -> int:
        """Size of the parts of an open upload; raises ``Conflict`` where it is complete."""
        return self._open(upload_id, owner_id).part_bytes

    def presign(
        self, upload_id: UUID, owner_id: UUID | None, parts: Sequence[NewPart]
    ) -> Sequence[PresignedPut | None]:
        """Where each of ``parts`` may be sent; None: through ``put_part``.

        Raises:
            InvalidRequest: The file has no such part.
            Conflict: The upload is complete.
        """
        row = self._open(upload_id, owner_id)
        for part in parts:
            _check_part(row, part.number, part.size_bytes)
        self._completion.parts(row)  # raises where the store has lost the upload
        return [
            self._objects.incoming.presigned_part(
                row.key,
                row.store_upload_id,
                part.number,
                size_bytes=part.size_bytes,
                md5=base64.b64decode(part.md5),
            )
            for part in parts
        ]

    def put_part(
        self, upload_id: UUID, owner_id: UUID | None, number: int, body: bytes, md5: str
    ) -> None:
        """Store a part.

        Raises:
            InvalidRequest: The file has no such part.
            Conflict: The upload is complete.
            UploadMismatch: The body has another MD5 than ``md5``, in base64.
        """
        row = self._open(upload_id, owner_id)
        _check_part(row, number, len(body))
        if base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode() != md5:
            raise UploadMismatch(f"Part {number} does not have the MD5 that Content-MD5 tells.")
        self._objects.incoming.put_part(row.key, row.store_upload_id, number, body)

    def complete(self, upload_id: UUID, owner_id: UUID | None) -> UploadRead:
        """Put the parts together and verify the whole; again is no error.

        Raises:
            UploadIncomplete: Parts are missing.
            UploadMismatch: The file has another digest than was declared; nothing of it is kept.
            TooManyRequests: It is being completed.
        """
        row = self._living(upload_id, owner_id)
        if row.state is UploadState.OPEN:
            self._completion.complete(row)
        return self.get(upload_id, owner_id)

    def source(self, upload_id: UUID, owner_id: UUID | None) -> tuple[UploadRow, ObjectSource]:
        """A completed upload as a file to import; ``abort`` removes it afterwards.

        Raises:
            UploadIncomplete: It is not completed.
        """
        row = self._living(upload_id, owner_id)
        if row.state is not UploadState.COMPLETED:
            raise UploadIncomplete(f"POST /v1/uploads/{upload_id}:complete has not succeeded yet.")
        ref = ArtifactRef(sha256=row.declared_sha256, size_bytes=row.size_bytes, media_type=BINARY)
        return row, ObjectSource(row.key, ref)

    def abort(self, upload_id: UUID, owner_id: UUID | None) -> None:
        """Give an upload up, or be done with it, and remove what has arrived."""
        self._removal.end(self._living(upload_id, owner_id))

    def _living(self, upload_id: UUID, owner_id: UUID | None) -> UploadRow:
        with self._database.transaction() as session:
            return upload_rows.living(session, upload_id, owner_id)

    def _open(self, upload_id: UUID, owner_id: UUID | None) -> UploadRow:
        row = self._living(upload_id, owner_id)
        if row.state is not UploadState.OPEN:
            raise Conflict("The upload is complete; nothing can be added.")
        return row

    def _read(self, row: UploadRow) -> UploadRead:
        parts = self._completion.parts(row)
        return UploadRead(
            id=row.id,
            project_id=row.project_id,
            owner=row.owner,
            kind=row.kind,
            sha256=row.declared_sha256,
            size_bytes=row.size_bytes,
            part_bytes=row.part_bytes,
            parts_go="to-the-store" if self._objects.incoming.is_public else "through-the-gateway",
            state=row.state,
            parts=[PartRead(number=part.number, size_bytes=part.size_bytes) for part in parts],
            created_at=row.created_at,
            expires_at=row.expires_at,
        )


def _check_part(row: UploadRow, number: int, size_bytes: int) -> None:
    cut = Cut(row.size_bytes, row.part_bytes)
    if number not in cut.numbers:
        raise InvalidRequest(f"The file has parts 1 to {len(cut.numbers)}, no part {number}.")
    if size_bytes != cut.size_of(number):
        raise InvalidRequest(f"Part {number} has {cut.size_of(number)} bytes, not {size_bytes}.")
