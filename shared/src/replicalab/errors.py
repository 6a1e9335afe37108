"""The error tree every service speaks.

ReplicaLabError
├── InvalidRequest     the caller must change the request      422, never retried
├── Unauthenticated    the caller must show who they are       401, never retried
├── NotFound           the thing does not exist                404, never retried
├── Conflict           the thing is in the wrong state         409, never retried
├── Unavailable        a dependency is down                    503, retried with backoff
└── Defect             our own invariant broke                 500, never retried

A concrete error is a class, a slug and a title. ``http/problems.py`` of the gateway gives it a
status; the engine gives it a retry policy; ``docs/problems/<slug>.md`` tells the user what to do.
"""

from typing import ClassVar


class ReplicaLabError(Exception):
    """Root of every error raised on purpose."""

    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extensions: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions


class InvalidRequest(ReplicaLabError):
    """The caller must change the request."""

    slug = "invalid-request"
    title = "The request is not valid"


class Unauthenticated(ReplicaLabError):
    """The caller must show who they are."""

    slug = "unauthenticated"
    title = "A valid token is needed"


class NotFound(ReplicaLabError):
    """The thing does not exist, or the caller may not see it."""

    slug = "not-found"
    title = "Not found"


class Conflict(ReplicaLabError):
    """The thing is in a state that forbids the request."""

    slug = "conflict"
    title = "The request conflicts with the present state"


class Unavailable(ReplicaLabError):
    """A dependency is down; the same call may work later."""

    slug = "unavailable"
    title = "A part of the service is not available"


class Defect(ReplicaLabError):
    """Our own invariant broke."""


# --- invalid requests -------------------------------------------------------------------------


class InvalidJson(InvalidRequest):
    slug = "invalid-json"
    title = "The body is not valid JSON"


class NonFiniteNumber(InvalidRequest):
    slug = "non-finite-number"
    title = "Numbers must be finite"


class BodyTooLarge(InvalidRequest):
    slug = "body-too-large"
    title = "The body is too large"


class UnsupportedMediaType(InvalidRequest):
    slug = "unsupported-media-type"
    title = "The body must be application/json in UTF-8"


class IncompatibleParts(InvalidRequest):
    """The parts of a specification are each valid but do not fit together."""

    slug = "incompatible-parts"
    title = "The parts of the specification do not fit together"


class UnknownGenerator(InvalidRequest):
    slug = "unknown-generator"
    title = "No such generator"


class InvalidImageSet(InvalidRequest):
    """An image set breaks its contract: shape, dtype, range or labels."""

    slug = "invalid-image-set"
    title = "The image set is not valid"


class InvalidMeasureInput(InvalidRequest):
    """A measure cannot be computed from what it was given."""

    slug = "invalid-measure-input"
    title = "The measure cannot be computed from this input"


class UnsafeCheckpoint(InvalidRequest):
    slug = "unsafe-checkpoint"
    title = "The checkpoint is not safe to load"


# --- not found, conflicts ---------------------------------------------------------------------


class ExperimentNotFound(NotFound):
    slug = "experiment-not-found"
    title = "Experiment not found"


class ArtifactNotFound(NotFound):
    slug = "artifact-not-found"
    title = "Artifact not found"


class IllegalTransition(Conflict):
    slug = "illegal-transition"
    title = "The state machine has no such arrow"


class IdempotencyConflict(Conflict):
    slug = "idempotency-conflict"
    title = "This Idempotency-Key was used for another request"


# --- dependencies and our own faults ----------------------------------------------------------


class DatabaseUnavailable(Unavailable):
    slug = "database-unavailable"
    title = "The database does not answer"


class StoreUnavailable(Unavailable):
    slug = "store-unavailable"
    title = "The object store does not answer"


class ArtifactCorrupt(Unavailable):
    """Stored bytes do not match their digest; the producer can make them again."""

    slug = "artifact-corrupt"
    title = "The stored artifact is corrupt"


class ServiceUnreachable(Unavailable):
    """The SDK or CLI cannot reach the gateway."""

    slug = "service-unreachable"
    title = "The ReplicaLab service does not answer"
