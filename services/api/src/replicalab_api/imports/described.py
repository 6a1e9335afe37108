"""What the routes that bring a file have in common in the OpenAPI description."""

from typing import Any

from replicalab import errors, file_errors, refusals
from replicalab_api.http.problems import responses
from replicalab_api.http.uploads import MEDIA_TYPE

REFUSALS = responses(
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.StoreUnavailable,
    errors.QuotaExceeded,
    refusals.TooManyTasks,
    refusals.NameTaken,
    refusals.ProjectNotFound,
    file_errors.UploadNotFound,
    file_errors.UploadExpired,
    file_errors.UploadIncomplete,
)


def file_body(description: str) -> dict[str, Any]:
    """The file as the body of a request that may name an upload instead."""
    content = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": False, "description": description, "content": content}}
