"""What S3 servers and the way to them can say, as errors of this project."""

from collections.abc import Iterator
from contextlib import contextmanager

from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from replicalab.errors import ArtifactNotFound, StoreUnavailable

_ABSENT = ("NoSuchKey", "NoSuchObject", "ResourceNotFound")


@contextmanager
def translated_errors(subject: str) -> Iterator[None]:
    """Raise ``ArtifactNotFound`` and ``StoreUnavailable`` about ``subject`` for what S3 raises."""
    try:
        yield
    except S3Error as error:
        if error.code in _ABSENT:
            raise ArtifactNotFound(f"The store holds no object {subject}.") from error
        raise StoreUnavailable(f"S3 refused {subject}: {error.code} {error.message}") from error
    except (MinioException, HTTPError, OSError) as error:
        raise StoreUnavailable(f"S3 does not answer for {subject}: {error}") from error
