"""Objects in a bucket of any S3 server: the common subset, nothing one server alone has."""

import base64
import hashlib
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlsplit

from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import ListMultipartUploadsResult
from minio.error import S3Error
from urllib3 import BaseHTTPResponse, HTTPHeaderDict, PoolManager, Retry, Timeout

from replicalab.errors import ArtifactNotFound, InvalidRequest, StoreUnavailable
from replicalab.settings import S3StoreSettings, StoreKey
from replicalab.storage.objects import (
    CHUNK_BYTES,
    ChunkReader,
    ExactReader,
    ObjectStat,
    ReadBrokenOff,
    StoredObject,
    checked_key,
)
from replicalab.storage.s3_errors import translated_errors
from replicalab.storage.s3_parts import S3PartStore

CONNECT_TIMEOUT_SECONDS = 5
RETRIES = 2
LARGEST_OBJECT_BYTES = 5 * 1024**3
"""What S3 takes in one request; beyond it an upload would be neither atomic nor checked whole."""

PART_BYTES = 16 * 2**20
"""Of a file; at most 10,000 parts make an object."""

_OWNED = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


class S3ObjectStore:
    """An object store in one bucket; one instance a process, shared by its threads."""

    def __init__(self, settings: S3StoreSettings) -> None:
        self._bucket = settings.bucket
        self._client = _client(settings, settings.endpoint, settings.own_key)
        self.incoming = S3PartStore(self._client, settings)
        # The host is part of a signature, so URLs for clients need a client of their own; with
        # the region given it signs without asking anyone.
        self._public = (
            _client(settings, settings.public_endpoint, settings.signing_key)
            if settings.public_endpoint
            else None
        )

    def create_bucket(self) -> None:
        """Make the bucket unless it is there."""
        with translated_errors(self._bucket):
            if self._client.bucket_exists(self._bucket):
                return
            try:
                self._client.make_bucket(self._bucket)
            except S3Error as error:
                if error.code not in _OWNED:
                    raise

    def put(self, key: str, body: bytes, media_type: str) -> None:
        """Upload in one request; the server refuses bytes that changed on the way (MD5)."""
        if len(body) > LARGEST_OBJECT_BYTES:
            raise InvalidRequest(f"An object holds at most 5 GiB, not {len(body)} bytes.")
        with translated_errors(checked_key(key)):
            self._client.put_object(
                self._bucket,
                key,
                io.BytesIO(body),
                len(body),
                content_type=media_type,
                part_size=LARGEST_OBJECT_BYTES,
            )

    def put_file(self, key: str, file: BinaryIO, size_bytes: int, media_type: str) -> None:
        """Upload in parts, which the server puts together last; each is checked by itself."""
        with translated_errors(checked_key(key)):
            self._client.put_object(
                self._bucket,
                key,
                cast(BinaryIO, ExactReader(file, size_bytes)),
                size_bytes,
                content_type=media_type,
                part_size=PART_BYTES,
                num_parallel_uploads=1,  # each would hold a part in memory
            )

    def get(self, key: str) -> bytes:
        """The whole object."""
        return b"".join(self.stream(key))

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Chunks of the object over one connection, given back at the end of the range."""
        stat = self.stat(key)
        if stat is None:
            raise ArtifactNotFound(f"The store holds no object {key}.")
        stop = stat.size_bytes if end is None else min(end, stat.size_bytes)
        if start >= stop:
            return iter(())
        with translated_errors(key):
            response = self._client.get_object(self._bucket, key, offset=start, length=stop - start)
        return _chunks(response, key)

    def stat(self, key: str) -> ObjectStat | None:
        """Size of the object, or None when it does not exist."""
        try:
            with translated_errors(checked_key(key)):
                size_bytes = self._client.stat_object(self._bucket, key).size
        except ArtifactNotFound:
            return None
        return ObjectStat(size_bytes or 0)

    def copy(self, source: str, target: str, media_type: str) -> None:
        """Let the server copy; what it copies in no single request is read and written again."""
        found = self.stat(source)
        if found is None:
            raise ArtifactNotFound(f"The store holds no object {source}.")
        if found.size_bytes > LARGEST_OBJECT_BYTES:
            reader = cast(BinaryIO, ChunkReader(self.stream(source)))
            self.put_file(target, reader, found.size_bytes, media_type)
            return
        with translated_errors(checked_key(target)):
            self._client.copy_object(self._bucket, target, CopySource(self._bucket, source))

    def delete(self, key: str) -> None:
        """Remove the object; absent keys are no error."""
        try:
            with translated_errors(checked_key(key)):
                self._client.remove_object(self._bucket, key)
        except ArtifactNotFound:
            return

    def listing(self, folder: str) -> Iterator[StoredObject]:
        """Every object below the folder, page by page."""
        with translated_errors(folder):
            prefix = f"{checked_key(folder)}/"
            for found in self._client.list_objects(self._bucket, prefix, recursive=True):
                if found.object_name and found.last_modified and not found.is_dir:
                    modified_at = found.last_modified.replace(microsecond=0)
                    yield StoredObject(found.object_name, found.size or 0, modified_at)

    def abort_uploads(self, before: datetime) -> int:
        """Abort uploads in parts that somebody who is gone has left; MinIO does so itself."""
        aborted = 0
        with translated_errors(self._bucket):
            for key, upload_id, initiated_at in self._uploads():
                if initiated_at < before:
                    self._client._abort_multipart_upload(self._bucket, key, upload_id)
                    aborted += 1
        return aborted

    def _uploads(self) -> list[tuple[str, str, datetime]]:
        """The first thousand unfinished uploads: once some are aborted, others come first.

        Not minio-py's own call: the empty delimiter that it sends makes some servers list nothing.
        """
        response = self._client._execute("GET", self._bucket, query_params={"uploads": ""})
        return [
            (upload.object_name, upload.upload_id, upload.initiated_time)
            for upload in ListMultipartUploadsResult(response).uploads
            if upload.object_name and upload.upload_id and upload.initiated_time
        ]

    def presigned_get_url(
        self, key: str, *, file_name: str, media_type: str, expires_seconds: int
    ) -> str | None:
        """A URL on the public endpoint, saved by browsers as ``file_name``."""
        if self._public is None:
            return None
        return self._public.presigned_get_object(
            self._bucket,
            checked_key(key),
            expires=timedelta(seconds=expires_seconds),
            response_headers={
                "response-content-type": media_type,
                "response-content-disposition": (
                    f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
                ),
            },
        )

    def check(self) -> None:
        """Raise ``StoreUnavailable`` unless the server answers and the bucket exists."""
        with translated_errors(self._bucket):
            if not self._client.bucket_exists(self._bucket):
                raise StoreUnavailable(f"The S3 server has no bucket {self._bucket}.")


class _TolerantPool(PoolManager):
    """Connections that make up for what minio-py expects of MinIO alone."""

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **request: Any
    ) -> BaseHTTPResponse:
        body = request.get("body")
        if body is not None:
            # Over plain HTTP it sends SHA-256, which some servers ignore; all of them check MD5.
            digest = hashlib.md5(body, usedforsecurity=False).digest()
            headers = HTTPHeaderDict(request.get("headers"))
            headers.setdefault("Content-MD5", base64.b64encode(digest).decode())
            request["headers"] = headers
        response = super().urlopen(method, url, redirect, **request)
        if response.headers.get("content-type", "").startswith("text/xml"):
            # It reads the code of an error only from the other of the two XML media types.
            response.headers["content-type"] = "application/xml"
        return response


def _client(settings: S3StoreSettings, endpoint: str, key: StoreKey) -> Minio:
    url = urlsplit(endpoint)
    return Minio(
        url.netloc,
        access_key=key.access_key,
        secret_key=key.secret_key.get_secret_value(),
        secure=url.scheme == "https",
        region=settings.region,
        http_client=_TolerantPool(
            timeout=Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=settings.timeout_seconds),
            maxsize=16,
            retries=Retry(
                total=RETRIES, backoff_factor=0.2, status_forcelist=[429, 500, 502, 503, 504]
            ),
        ),
    )


def _chunks(response: BaseHTTPResponse, key: str) -> Iterator[bytes]:
    try:
        with translated_errors(key):
            yield from response.stream(CHUNK_BYTES)
    except StoreUnavailable as error:
        raise ReadBrokenOff(error.detail) from error
    finally:
        response.close()
        response.release_conn()
