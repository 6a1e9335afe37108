"""The error tree every service speaks.

ReplicaLabError
├── InvalidRequest     the caller must change the request      422, never retried
├── Unauthenticated    the caller must show who they are       401, never retried
├── NotFound           the thing does not exist                404, never retried
├── Conflict           the thing is in the wrong state         409, never retried
├── Unavailable        a dependency is down                    503, retried with backoff
└── Defect             our own invariant broke                 500, never retried

A concrete error is a class, a slug, a title and a remedy. ``http/problems.py`` of the gateway
gives it a status; the engine gives it a retry policy; its page under ``/problems/<slug>`` and in
``docs/problems`` is made of the docstring and the remedy, which the CLI shows too.
"""

from typing import ClassVar


class ReplicaLabError(Exception):
    """Something went wrong that no other error names."""

    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    remedy: ClassVar[str] = (
        "Try again once. If it happens again, report the request id; the log has the details."
    )

    def __init__(self, detail: str, **extensions: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions


class InvalidRequest(ReplicaLabError):
    """The request breaks its schema or a rule between its fields."""

    slug = "invalid-request"
    title = "The request is not valid"
    remedy = (
        "Correct what the detail and `errors` point at, and try again. `replicalab validate` and "
        "`POST /v1/experiments:validate` check a specification without running it."
    )


class Unauthenticated(ReplicaLabError):
    """The request carries no token, or one that the service does not know."""

    slug = "unauthenticated"
    title = "A valid token is needed"
    remedy = (
        "Send `Authorization: Bearer <token>`; SDK and CLI read it from REPLICALAB_TOKEN, or from "
        "what `replicalab login` has stored. "
        "`replicalab up` prints the token of the embedded stack."
    )


class NotFound(ReplicaLabError):
    """The thing does not exist, or the caller may not see it."""

    slug = "not-found"
    title = "Not found"
    remedy = "Check the address; `/openapi.json` lists every route."


class Conflict(ReplicaLabError):
    """The thing is in a state that forbids the request."""

    slug = "conflict"
    title = "The request conflicts with the present state"
    remedy = "Read the present state, then decide whether the request still makes sense."


class Unavailable(ReplicaLabError):
    """A dependency is down; the same call may work later."""

    slug = "unavailable"
    title = "A part of the service is not available"
    remedy = (
        "Wait as long as `Retry-After` says and send the same request again, with the same "
        "Idempotency-Key; the SDK does so by itself. `/readyz` says which part is down."
    )


class Defect(ReplicaLabError):
    """An invariant of the service broke: this is a fault in ReplicaLab, not in the request."""


# --- invalid requests -------------------------------------------------------------------------


class InvalidJson(InvalidRequest):
    """The body is not JSON in UTF-8, repeats a key, or nests deeper than 64 levels."""

    slug = "invalid-json"
    title = "The body is not valid JSON"
    remedy = (
        "Write the body with a JSON library, in UTF-8 without a byte order mark, every key once, "
        "no lone surrogates, no numbers of thousands of digits."
    )


class NonFiniteNumber(InvalidRequest):
    """The body holds NaN, an infinity, or a number too large for a float."""

    slug = "non-finite-number"
    title = "Numbers must be finite"
    remedy = "Replace the numbers that `errors` points at; leave a field out to get its default."


class BodyTooLarge(InvalidRequest):
    """The body is larger than the gateway reads: a specification, or an uploaded file."""

    slug = "body-too-large"
    title = "The body is too large"
    remedy = "Send less, or a file in parts (`POST /v1/uploads`); administrators set the limits."


class UnsupportedMediaType(InvalidRequest):
    """The body is not declared as the route wants it: plain JSON, or plain bytes for a file."""

    slug = "unsupported-media-type"
    title = "The body is of another media type"
    remedy = "Send the `Content-Type` that the detail names, and no Content-Encoding."


class MethodNotAllowed(InvalidRequest):
    """The address exists, but not for this method."""

    slug = "method-not-allowed"
    title = "The method is not allowed here"
    remedy = "Use one of the methods that the `Allow` header lists."


class RangeNotSatisfiable(InvalidRequest):
    """The range asked for begins after the end of the artifact."""

    slug = "range-not-satisfiable"
    title = "The range lies outside the artifact"
    remedy = "Ask for a range inside the size that `Content-Range` tells, or for the whole."


class TokenInUrl(InvalidRequest):
    """The token is in the address, where logs, histories and proxies would keep it."""

    slug = "token-in-url"
    title = "Tokens do not belong in addresses"
    remedy = (
        "Send the token as `Authorization: Bearer <token>`. "
        "Replace the token that was sent: something on the way may have stored it."
    )


class InvalidIdempotencyKey(InvalidRequest):
    """The Idempotency-Key is empty, longer than 255 characters, or not printable ASCII."""

    slug = "invalid-idempotency-key"
    title = "The Idempotency-Key is not valid"
    remedy = "Use a fresh random UUID for each new submission and repeat it when retrying."


class IncompatibleParts(InvalidRequest):
    """The parts of a specification are each valid but do not fit together."""

    slug = "incompatible-parts"
    title = "The parts of the specification do not fit together"
    remedy = "Change one of the parts that the detail names, so that both agree."


class UnknownGenerator(InvalidRequest):
    """The specification names a generator that this installation does not have."""

    slug = "unknown-generator"
    title = "No such generator"
    remedy = "Use a generator that the detail lists, or let the experiment train its own."


class InvalidImageSet(InvalidRequest):
    """An image set breaks its contract: shape, dtype, range or labels."""

    slug = "invalid-image-set"
    title = "The image set is not valid"
    remedy = "Make the image set again; the detail says what was expected."


class InvalidMeasureInput(InvalidRequest):
    """A measure cannot be computed from what it was given."""

    slug = "invalid-measure-input"
    title = "The measure cannot be computed from this input"
    remedy = "Ask for another measure, or for more images or seeds; the detail says which."


class UnsafeCheckpoint(InvalidRequest):
    """A checkpoint could run code, or does not hold what its header says."""

    slug = "unsafe-checkpoint"
    title = "The checkpoint is not safe to load"
    remedy = "Import the file as its authors published it; the detail names what was found in it."


# --- not found, conflicts ---------------------------------------------------------------------


class ExperimentNotFound(NotFound):
    """No experiment has this id."""

    slug = "experiment-not-found"
    title = "Experiment not found"
    remedy = "`replicalab list` and `GET /v1/experiments` show the experiments there are."


class ArtifactNotFound(NotFound):
    """The experiment has no such artifact, or its task has not succeeded yet."""

    slug = "artifact-not-found"
    title = "Artifact not found"
    remedy = "`GET /v1/experiments/{id}/artifacts` lists what can be read now."


class IllegalTransition(Conflict):
    """A task or an experiment was asked for what the state that it is in does not allow."""

    slug = "illegal-transition"
    title = "Its state does not allow that"
    remedy = "Look at the state again; what has succeeded, for one, is not tried again."


class QuotaExceeded(Conflict):
    """The user has used all the compute that an administrator allows them."""

    slug = "quota-exceeded"
    title = "The compute quota is used up"
    remedy = (
        "Ask an administrator for more; experiments under way go on, and finished work can still "
        "be read."
    )


class IdempotencyConflict(Conflict):
    """The Idempotency-Key was used before, with another body."""

    slug = "idempotency-conflict"
    title = "This Idempotency-Key was used for another request"
    remedy = "Use a new key for a new request; repeat a key only with the very same body."


# --- dependencies and our own faults ----------------------------------------------------------


class DatabaseUnavailable(Unavailable):
    """PostgreSQL refuses connections or does not answer in time."""

    slug = "database-unavailable"
    title = "The database does not answer"


class BrokerUnavailable(Unavailable):
    """The broker refuses connections; work goes on, found by polling."""

    slug = "broker-unavailable"
    title = "The broker does not answer"


class StoreUnavailable(Unavailable):
    """The object store refuses connections or does not answer in time."""

    slug = "store-unavailable"
    title = "The object store does not answer"


class ArtifactCorrupt(Unavailable):
    """Stored bytes do not match their digest, so they are not given out."""

    slug = "artifact-corrupt"
    title = "The stored artifact is corrupt"
    remedy = "Wait until its producer has run anew; bring again what you had brought."


class OutOfMemory(Unavailable):
    """A worker's memory does not hold even one image on its way through a network."""

    slug = "out-of-memory"
    title = "The worker has too little memory"
    remedy = (
        "Free memory on the worker (other processes on its GPU, other workers on its machine), or "
        "use a machine with more; a smaller network or precision needs less."
    )


class ServiceUnreachable(Unavailable):
    """The SDK or CLI cannot reach the gateway."""

    slug = "service-unreachable"
    title = "The ReplicaLab service does not answer"
    remedy = (
        "Start one with `replicalab up`, or set REPLICALAB_URL to the address of yours. "
        "A service that is restarting answers again in a moment."
    )
