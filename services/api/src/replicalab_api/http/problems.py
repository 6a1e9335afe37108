"""RFC 9457: every error leaves the gateway as application/problem+json."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from replicalab import errors, refusals
from replicalab.domain.findings import request_items
from replicalab.domain.resources import ProblemRead
from replicalab_api.http.routing import allowed_methods

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

STATUSES: Mapping[type[errors.ReplicaLabError], HTTPStatus] = {
    errors.InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidJson: HTTPStatus.BAD_REQUEST,
    errors.InvalidIdempotencyKey: HTTPStatus.BAD_REQUEST,
    errors.TokenInUrl: HTTPStatus.BAD_REQUEST,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    refusals.RequestTimeout: HTTPStatus.REQUEST_TIMEOUT,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.RangeNotSatisfiable: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    refusals.Forbidden: HTTPStatus.FORBIDDEN,
    refusals.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    refusals.PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
    refusals.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    # A key that comes back with another body is a mistake in the request, not a race.
    errors.IdempotencyConflict: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ArtifactCorrupt: HTTPStatus.BAD_GATEWAY,
    errors.Defect: HTTPStatus.INTERNAL_SERVER_ERROR,
}

ERROR_OF_STATUS: Mapping[int, type[errors.ReplicaLabError]] = {
    HTTPStatus.NOT_FOUND: errors.NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: errors.MethodNotAllowed,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.BodyTooLarge,
}


class ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, ensure_ascii=False, default=str).encode()


def status_of(error: type[errors.ReplicaLabError]) -> HTTPStatus:
    """The status of the error, or else of its family."""
    for ancestor in error.__mro__:
        if ancestor in STATUSES:
            return STATUSES[ancestor]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _headers_of(error: errors.ReplicaLabError) -> dict[str, str]:
    match error:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="replicalab"'}
        case refusals.TooManyRequests():
            return {"Retry-After": str(error.extensions["retry_after_seconds"])}
        case errors.Unavailable():
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case errors.BodyTooLarge():
            return {"Connection": "close"}
        case errors.RangeNotSatisfiable():
            return {"Content-Range": f"bytes */{error.extensions['size_bytes']}"}
        case _:
            return {}


def problem_response(
    request: Request, error: errors.ReplicaLabError, status: int | None = None
) -> ProblemResponse:
    """The answer that tells ``error``."""
    status = status or status_of(type(error)).value
    body: dict[str, object] = {
        "type": f"/problems/{error.slug}",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "instance": request.url.path,
        "code": error.slug,
        "request_id": getattr(request.state, "request_id", None),
    }
    return ProblemResponse(error.extensions | body, status, headers=_headers_of(error))


def problem_head(error: errors.ReplicaLabError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of ``error`` where no request has reached the application."""
    status = status_of(type(error)).value
    problem = ProblemRead(
        type=f"/problems/{error.slug}",
        title=error.title,
        status=status,
        detail=error.detail,
        code=error.slug,
    )
    body = problem.model_dump_json(exclude_none=True).encode()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    return status, headers, body


def responses(*declared: type[errors.ReplicaLabError]) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of a route that may raise ``declared``."""
    out: dict[int | str, dict[str, Any]] = {}
    for error in declared:
        status = status_of(error)
        content = {"schema": {"$ref": "#/components/schemas/ProblemRead"}, "examples": {}}
        entry = out.setdefault(
            status.value, {"description": status.phrase, "content": {MEDIA_TYPE: content}}
        )
        example = ProblemRead(
            type=f"/problems/{error.slug}", title=error.title, status=status, code=error.slug
        )
        entry["content"][MEDIA_TYPE]["examples"][error.slug] = {
            "summary": error.title,
            "value": example.model_dump(exclude_none=True),
        }
    return out


async def _on_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, errors.ReplicaLabError)  # noqa: S101 - the registration says so
    if isinstance(exc, errors.DatabaseUnavailable | errors.StoreUnavailable):
        # Addresses and user names of dependencies are for the log alone.
        logger.warning("%s: %s", exc.slug, exc.detail)
        exc = type(exc)("The request was not completed; it may be sent again as it is.")
    return problem_response(request, exc)


async def _on_validation_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - the registration says so
    items = request_items(exc.errors())
    detail = "; ".join(f"{item['in']} {item['pointer']}: {item['detail']}" for item in items[:3])
    return problem_response(request, errors.InvalidRequest(detail, errors=items))


async def _on_http_exception(request: Request, exc: Exception) -> Response:
    """Errors of the framework itself: no such path, no such method."""
    assert isinstance(exc, HTTPException)  # noqa: S101 - the registration says so
    kind = ERROR_OF_STATUS.get(exc.status_code, errors.InvalidRequest)
    if kind is not errors.MethodNotAllowed:
        phrase = HTTPStatus(exc.status_code).phrase
        return problem_response(request, kind(f"{phrase}."), exc.status_code)
    allow = ", ".join(sorted(allowed_methods(request)))
    if request.method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": allow})
    response = problem_response(request, kind(f"Only {allow} are allowed here."))
    response.headers["Allow"] = allow
    return response


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem; the 500 is ``RequestContext``'s."""
    app.add_exception_handler(errors.ReplicaLabError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
