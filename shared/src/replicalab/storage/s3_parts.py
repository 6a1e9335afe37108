"""Multipart uploads of S3: the common subset, as for whole objects."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from minio import Minio
from minio.datatypes import Part
from minio.error import S3Error

from replicalab.file_errors import UploadExpired
from replicalab.settings import S3StoreSettings
from replicalab.storage.objects import checked_key
from replicalab.storage.parts import PRESIGNED_SECONDS, StoredPart
from replicalab.storage.presigning import PresignedPut, presigned_put
from replicalab.storage.s3_errors import translated_errors


class S3PartStore:
    """Parts in a bucket."""

    def __init__(self, client: Minio, settings: S3StoreSettings) -> None:
        self._client = client
        self._bucket = settings.bucket
        self._settings = settings

    @property
    def is_public(self) -> bool:
        """Whether clients have an endpoint."""
        return self._settings.public_endpoint is not None

    def begin(self, key: str, media_type: str) -> str:
        """Create a multipart upload."""
        with translated_errors(checked_key(key)):
            return self._client._create_multipart_upload(
                self._bucket, key, {"Content-Type": media_type}
            )

    def presigned_part(
        self, key: str, upload_id: str, number: int, *, size_bytes: int, md5: bytes
    ) -> PresignedPut | None:
        """A PUT at the public endpoint, whose length and MD5 are signed."""
        if self._settings.public_endpoint is None:
            return None
        return presigned_put(
            self._settings,
            self._settings.public_endpoint,
            checked_key(key),
            size_bytes=size_bytes,
            md5=md5,
            expires_seconds=PRESIGNED_SECONDS,
            parameters={"partNumber": str(number), "uploadId": upload_id},
        )

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> None:
        """Upload a part; the server refuses bytes that changed on the way (MD5)."""
        with _known(key):
            self._client._upload_part(self._bucket, key, body, {}, upload_id, number)

    def parts(self, key: str, upload_id: str) -> Sequence[StoredPart]:
        """Page by page; some servers begin a page with the last part of the page before."""
        found: dict[int, StoredPart] = {}
        marker: str | None = None
        with _known(key):
            while True:
                page = self._client._list_parts(
                    self._bucket, key, upload_id, part_number_marker=marker
                )
                found |= {part.number: part for part in map(_stored, page.parts)}
                following = page.next_part_number_marker
                if not page.is_truncated or not following or str(following) == marker:
                    return [found[number] for number in sorted(found)]
                marker = str(following)

    def finish(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Complete the multipart upload."""
        if not parts:  # some servers say that the list is empty before they look for the upload
            self.parts(key, upload_id)
        with _known(key):
            self._client._complete_multipart_upload(
                self._bucket, key, upload_id, [Part(part.number, part.tag) for part in parts]
            )

    def abort(self, key: str, upload_id: str) -> None:
        """Abort the multipart upload."""
        try:
            with _known(key):
                self._client._abort_multipart_upload(self._bucket, key, upload_id)
        except UploadExpired:
            return


def _stored(part: Part) -> StoredPart:
    return StoredPart(part.part_number, cast(int, part.size), part.etag)


@contextmanager
def _known(key: str) -> Iterator[None]:
    with translated_errors(checked_key(key)):
        try:
            yield
        except S3Error as error:
            if error.code == "NoSuchUpload":
                raise UploadExpired("The store has nothing of this upload any more.") from error
            raise
