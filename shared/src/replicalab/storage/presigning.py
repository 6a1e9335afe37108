"""URLs that let whoever holds them store one object of exactly these bytes.

AWS Signature Version 4 in the query (Amazon S3, API Reference, "Authenticating Requests: Using
Query Parameters"). minio-py signs the host alone; length and MD5 are signed here as well, so that
the server takes no other bytes under the URL.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import quote, urlsplit

from replicalab.settings import S3StoreSettings

_ALGORITHM = "AWS4-HMAC-SHA256"
NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """A request that somebody without credentials may send for a while.

    Attributes:
        url: Where to.
        headers: What it must carry, besides Content-Length; they are part of the signature.
    """

    url: str
    headers: Mapping[str, str]


def presigned_put(
    settings: S3StoreSettings,
    endpoint: str,
    key: str,
    *,
    size_bytes: int,
    md5: bytes,
    expires_seconds: int,
    parameters: Mapping[str, str] = NO_PARAMETERS,
    now: datetime | None = None,
) -> PresignedPut:
    """A PUT of ``size_bytes`` with the digest ``md5`` to ``key``.

    Args:
        settings: Credentials, region and bucket.
        endpoint: As the client reaches the server; the host is part of the signature.
        key: Of the object.
        size_bytes: Of the body.
        md5: Of the body, 16 bytes.
        expires_seconds: From ``now``.
        parameters: Of the query besides the signature's own: which part of what upload.
        now: The time of signing; the present by default.
    """
    digest = base64.b64encode(md5).decode()
    headers = {
        "content-length": str(size_bytes),
        "content-md5": digest,
        "host": urlsplit(endpoint).netloc,
    }
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{settings.region}/s3/aws4_request"
    names = ";".join(sorted(headers))
    fields = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{settings.signing_key.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_seconds),
        "X-Amz-SignedHeaders": names,
        **parameters,
    }
    query = "&".join(f"{name}={quote(fields[name], safe='')}" for name in sorted(fields))
    path = quote(f"/{settings.bucket}/{key}")
    listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join(("PUT", path, query, listed, names, "UNSIGNED-PAYLOAD"))
    text = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.new(_signing_key(settings, stamp[:8]), text.encode(), hashlib.sha256)
    url = f"{endpoint.rstrip('/')}{path}?{query}&X-Amz-Signature={signature.hexdigest()}"
    return PresignedPut(url, {"Content-MD5": digest})


def _signing_key(settings: S3StoreSettings, day: str) -> bytes:
    key = b"AWS4" + settings.signing_key.secret_key.get_secret_value().encode()
    for part in (day, settings.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
