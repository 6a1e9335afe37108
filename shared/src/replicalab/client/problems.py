"""From problem documents back to the errors they were made of."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus

import httpx
from pydantic import ValidationError

from replicalab import errors, refusals
from replicalab.domain.resources import ProblemRead

_FAMILIES: Mapping[int, type[errors.ReplicaLabError]] = {
    HTTPStatus.UNAUTHORIZED: errors.Unauthenticated,
    HTTPStatus.NOT_FOUND: errors.NotFound,
    HTTPStatus.CONFLICT: errors.Conflict,
    HTTPStatus.FORBIDDEN: refusals.Forbidden,
    HTTPStatus.TOO_MANY_REQUESTS: refusals.TooManyRequests,
    HTTPStatus.BAD_GATEWAY: errors.Unavailable,
    HTTPStatus.SERVICE_UNAVAILABLE: errors.Unavailable,
    HTTPStatus.GATEWAY_TIMEOUT: errors.Unavailable,
}


def _subclasses(error: type[errors.ReplicaLabError]) -> Iterator[type[errors.ReplicaLabError]]:
    yield error
    for child in error.__subclasses__():
        yield from _subclasses(child)


def error_of_slug(slug: str) -> type[errors.ReplicaLabError] | None:
    """The most general error with this slug, or None in a client older than the service."""
    return next((e for e in _subclasses(errors.ReplicaLabError) if e.slug == slug), None)


def _family_of(status: int) -> type[errors.ReplicaLabError]:
    if status in _FAMILIES:
        return _FAMILIES[status]
    is_server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return errors.Defect if is_server_error else errors.InvalidRequest


def error_of(response: httpx.Response) -> errors.ReplicaLabError:
    """The error that a failed ``response``, already read, tells of.

    An answer without a problem document comes from something between client and service, such as
    a proxy; its status decides then.
    """
    family = _family_of(response.status_code)
    try:
        problem = ProblemRead.model_validate_json(response.content)
    except ValidationError:
        return family(f"The answer was {response.status_code} {response.reason_phrase}.")
    error = error_of_slug(problem.type.rpartition("/")[2]) or family
    extensions = dict(problem.model_extra or {}) | {"request_id": problem.request_id}
    if problem.errors is not None:
        extensions["errors"] = [item.model_dump(by_alias=True) for item in problem.errors]
    return error(problem.detail or problem.title, **extensions)
