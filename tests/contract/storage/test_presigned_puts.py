"""Presigned PUTs on a real server: these bytes, this key, this long, and nothing else."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from replicalab.settings import S3StoreSettings
from replicalab.storage.factory import open_store
from replicalab.storage.presigning import PresignedPut, presigned_put

pytestmark = pytest.mark.integration

KEY = "upload/0192/1"
BODY = b"some bytes " * 1000


def signed(settings: S3StoreSettings, *, age_seconds: int = 0) -> PresignedPut:
    return presigned_put(
        settings,
        settings.endpoint,
        KEY,
        size_bytes=len(BODY),
        md5=hashlib.md5(BODY, usedforsecurity=False).digest(),
        expires_seconds=900,
        now=datetime.now(UTC) - timedelta(seconds=age_seconds),
    )


def put(target: PresignedPut, body: bytes, *, url: str | None = None, **headers: str) -> int:
    sent = {**target.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.put(url or target.url, content=body, headers=sent, timeout=30).status_code


def md5_of(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def test_the_bytes_that_were_signed_are_stored(s3_settings: S3StoreSettings) -> None:
    store = open_store(s3_settings)
    assert put(signed(s3_settings), BODY) == 200
    assert store.get(KEY) == BODY


@pytest.mark.parametrize(
    ("body", "md5"),
    [
        (b"x" * len(BODY), None),
        (b"x" * len(BODY), b"x" * len(BODY)),
        (BODY + b"x", BODY + b"x"),
        (BODY[:-1], BODY[:-1]),
    ],
    ids=["other-bytes", "other-bytes-and-digest", "longer", "shorter"],
)
def test_other_bytes_are_refused(
    s3_settings: S3StoreSettings, body: bytes, md5: bytes | None
) -> None:
    store = open_store(s3_settings)
    headers = {} if md5 is None else {"Content_MD5": md5_of(md5)}
    assert put(signed(s3_settings), body, **headers) in {400, 403}
    assert store.stat(KEY) is None


def test_another_key_is_refused(s3_settings: S3StoreSettings) -> None:
    store, target = open_store(s3_settings), signed(s3_settings)
    for other in ("upload/0192/2", "cas/ab/cd/abcd"):
        assert put(target, BODY, url=target.url.replace(KEY, other)) == 403
        assert store.stat(other) is None


def test_a_url_expires(s3_settings: S3StoreSettings) -> None:
    store = open_store(s3_settings)
    assert put(signed(s3_settings, age_seconds=901), BODY) in {400, 403}
    assert store.stat(KEY) is None
