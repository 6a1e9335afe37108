"""Files in parts, as a caller may send them and make something of them."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from replicalab.db.database import Database
from replicalab.domain.accounts import Principal
from replicalab.domain.upload_resources import (
    NewParts,
    NewUpload,
    PartTargetRead,
    UploadKind,
    UploadRead,
)
from replicalab.engine.uploads import Uploads
from replicalab.errors import BodyTooLarge, InvalidRequest, Unavailable
from replicalab.file_errors import UploadNotFound
from replicalab.storage.parts import PRESIGNED_SECONDS
from replicalab.storage.sources import ObjectSource
from replicalab_api.identity import audit
from replicalab_api.identity.projects import check_may_add

_log = logging.getLogger(__name__)
ROOT = "/v1/uploads"


class LabUploads:
    """The uploads of the lab; whoever began one sees it, and administrators.

    Args:
        uploads: All of them.
        database: For projects and the audit log.
        max_bytes: The largest file of each kind.
        max_direct_bytes: The largest file in the body of one request.
    """

    def __init__(
        self,
        uploads: Uploads,
        database: Database,
        *,
        max_bytes: Mapping[UploadKind, int],
        max_direct_bytes: int,
    ) -> None:
        self._uploads = uploads
        self._database = database
        self._max_bytes = max_bytes
        self._max_direct_bytes = max_direct_bytes

    def max_direct_bytes(self, kind: UploadKind) -> int:
        """The largest file of a kind in the body of one request."""
        return min(self._max_direct_bytes, self._max_bytes[kind])

    def begin(self, caller: Principal, new: NewUpload) -> tuple[UploadRead, bool]:
        """An upload, and whether it is new: what the caller has begun before goes on.

        Raises:
            ProjectNotFound: The caller is no member of the project.
            Forbidden: The caller may only look at the project.
            BodyTooLarge: The file is larger than any may be.
            QuotaExceeded: The caller has used up their compute.
            TooManyUploads: The caller has too many that are not imported yet.
        """
        check_may_add(self._database, caller, new.project_id)
        largest = self._max_bytes[new.kind]
        if new.size_bytes > largest:
            raise BodyTooLarge(
                f"The file of a {new.kind} may have {largest} bytes.", max_bytes=largest
            )
        upload, is_new = self._uploads.begin(new, owner=caller.name, owner_id=caller.user_id)
        if is_new:
            self._tell(caller, "upload.begin", upload.id, after=new)
        return upload, is_new

    def get(self, caller: Principal, upload_id: UUID) -> UploadRead:
        """An upload, and which of its parts have arrived."""
        return self._uploads.get(upload_id, _owner(caller))

    def presign(
        self, caller: Principal, upload_id: UUID, new: NewParts
    ) -> Sequence[PartTargetRead]:
        """Where to PUT parts; raises ``InvalidRequest`` where the file has none of these."""
        expires_at = datetime.now(UTC) + timedelta(seconds=PRESIGNED_SECONDS)
        signed = self._uploads.presign(upload_id, _owner(caller), new.parts)
        return [
            PartTargetRead(
                number=part.number,
                url=f"{ROOT}/{upload_id}/parts/{part.number}" if target is None else target.url,
                headers={"Content-MD5": part.md5} if target is None else target.headers,
                expires_at=expires_at,
            )
            for part, target in zip(new.parts, signed, strict=True)
        ]

    def part_bytes(self, caller: Principal, upload_id: UUID) -> int:
        """The largest part of an upload."""
        return self._uploads.part_bytes(upload_id, _owner(caller))

    def put_part(
        self, caller: Principal, upload_id: UUID, number: int, body: bytes, md5: str
    ) -> None:
        """Pass a part on to the store; errors as of ``Uploads.put_part``."""
        self._uploads.put_part(upload_id, _owner(caller), number, body, md5)

    def complete(self, caller: Principal, upload_id: UUID) -> UploadRead:
        """Put the parts together; errors as of ``Uploads.complete``."""
        return self._uploads.complete(upload_id, _owner(caller))

    def abort(self, caller: Principal, upload_id: UUID) -> None:
        """Give an upload up."""
        self._uploads.abort(upload_id, _owner(caller))
        self._tell(caller, "upload.abort", upload_id)

    def source(
        self, caller: Principal, upload_id: UUID, kind: UploadKind, project_id: UUID
    ) -> ObjectSource:
        """The file of a completed upload, to be imported.

        Raises:
            UploadIncomplete: It is not completed.
            InvalidRequest: It was begun for something else.
        """
        upload, source = self._uploads.source(upload_id, _owner(caller))
        if (upload.kind, upload.project_id) != (kind, project_id):
            raise InvalidRequest(
                f"The upload was begun for a {upload.kind} of the project {upload.project_id}."
            )
        return source

    def release(self, upload_id: UUID) -> None:
        """Be done with an upload that was imported; what cannot be removed now expires."""
        try:
            self._uploads.abort(upload_id, None)
        except (Unavailable, UploadNotFound) as error:
            _log.warning("upload %s is left to expire: %s", upload_id, error.detail)

    def _tell(
        self, caller: Principal, action: str, upload_id: UUID, after: NewUpload | None = None
    ) -> None:
        with self._database.transaction() as session:
            audit.record(session, caller, action, f"upload/{upload_id}", after=after)


def _owner(caller: Principal) -> UUID | None:
    """Whose uploads a caller finds."""
    return None if caller.is_admin else caller.user_id
