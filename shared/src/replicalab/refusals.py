"""Errors of accounts, workers and who may do what; the tree is in ``replicalab.errors``.

ReplicaLabError
├── Forbidden              the caller is known and may not      403, never retried
├── TooManyRequests        the caller must wait                 429, retried by the SDK in time
└── PreconditionRequired   the caller must say what they saw    428, never retried
"""

from replicalab.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    ReplicaLabError,
    Unauthenticated,
    Unavailable,
)


class Forbidden(ReplicaLabError):
    """The caller is known, and may not do this to something that they can see."""

    slug = "forbidden"
    title = "Not allowed"
    remedy = (
        "Ask a maintainer of the project, or an administrator, for the role that the detail "
        "names; or use a token with the scope that it names. `replicalab whoami` shows yours."
    )


class CsrfRefused(Forbidden):
    """A request with a session cookie does not prove that it comes from this site's own page."""

    slug = "csrf-refused"
    title = "The request does not come from this site"
    remedy = (
        "Send the `csrf_token` of the session as `X-CSRF-Token`, from a page of the same origin. "
        "Programs use a token instead of a session."
    )


class TooManyRequests(ReplicaLabError):
    """Somebody has asked or tried too often in a short time."""

    slug = "too-many-requests"
    title = "Too many requests"
    remedy = (
        "Wait as long as `Retry-After` says, then send the same request again; the SDK does so by "
        "itself unless that takes longer than its patience. `RateLimit` tells what is left. Rather "
        "than asking often, wait with `?wait=30`, follow the events, or send `If-None-Match`."
    )


class PreconditionRequired(ReplicaLabError):
    """The change needs ``If-Match``, so that nobody overwrites what they have not seen."""

    slug = "precondition-required"
    title = "If-Match is needed"
    remedy = "Read the resource, send its `ETag` as `If-Match`; `*` overwrites whatever is there."


class PreconditionFailed(Conflict):
    """The resource is no longer the one that ``If-Match`` names."""

    slug = "precondition-failed"
    title = "The resource has changed"
    remedy = "Read it again, and decide whether the change still makes sense."


class TokenExpired(Unauthenticated):
    """The token was right once and has expired."""

    slug = "token-expired"
    title = "The token has expired"
    remedy = "Make a new one with `replicalab login`, or rotate tokens before they expire."


class LoginFailed(Unauthenticated):
    """Name and password do not belong together, or the provider's answer cannot be trusted."""

    slug = "login-failed"
    title = "The login failed"
    remedy = (
        "Check name and password. An administrator can set a new password, and sees whether the "
        "account is disabled."
    )


class ProviderUnavailable(Unavailable):
    """The lab's login provider does not answer, or not as OpenID Connect asks."""

    slug = "provider-unavailable"
    title = "The login provider does not answer"
    remedy = "Try again later, or log in with name and password if you have one."


class NoProvider(NotFound):
    """This installation has no login provider."""

    slug = "no-provider"
    title = "There is no login provider"
    remedy = "Log in with name and password; an administrator can set REPLICALAB_OIDC__ISSUER."


class WeakPassword(InvalidRequest):
    """The password is too easy to guess."""

    slug = "weak-password"
    title = "The password is too weak"
    remedy = "Use at least 12 characters, at least 6 different ones, and not the user's name."


class WorkerNotFound(NotFound):
    """No worker has this name."""

    slug = "worker-not-found"
    title = "Worker not found"
    remedy = "`replicalab workers list` and `GET /v1/workers` show the workers there are."


class UserNotFound(NotFound):
    """No user has this id."""

    slug = "user-not-found"
    title = "User not found"
    remedy = "`GET /v1/users` shows the users there are."


class ProjectNotFound(NotFound):
    """No project has this id, or the caller is no member of it."""

    slug = "project-not-found"
    title = "Project not found"
    remedy = "`GET /v1/projects` shows your projects; their maintainers add members."


class TokenNotFound(NotFound):
    """The caller has no token with this id."""

    slug = "token-not-found"
    title = "Token not found"
    remedy = "`replicalab tokens list` shows your tokens."


class GeneratorNotFound(NotFound):
    """No imported generator has this id, or the caller may not see it."""

    slug = "generator-not-found"
    title = "Generator not found"
    remedy = "`replicalab generators list` and `GET /v1/generators` show the generators there are."


class GeneratorInUse(Conflict):
    """The generator is being imported, or an unfinished experiment needs it."""

    slug = "generator-in-use"
    title = "The generator is in use"
    remedy = "Wait for the experiments that the detail names, or cancel them."


class DatasetNotFound(NotFound):
    """No imported data set has this id, or the caller may not see it."""

    slug = "dataset-not-found"
    title = "Data set not found"
    remedy = "`replicalab datasets list` and `GET /v1/datasets` show the data sets there are."


class DatasetInUse(Conflict):
    """The data set is being imported, or an unfinished experiment needs it."""

    slug = "dataset-in-use"
    title = "The data set is in use"
    remedy = "Wait for the experiments that the detail names, or cancel them."


class ExperimentUnfinished(Conflict):
    """The experiment has not ended, so that an archive of it would be out of date at once."""

    slug = "experiment-unfinished"
    title = "The experiment has not ended"
    remedy = (
        "Wait for its end (`replicalab watch`), or cancel it; what there is so far is at "
        "`/results` and `/artifacts` of the experiment."
    )


class NameTaken(Conflict):
    """Another user, project, generator or data set has the name."""

    slug = "name-taken"
    title = "The name is taken"
    remedy = "Choose another name."


class WebhookNotFound(NotFound):
    """No webhook has this id, or the caller may not see it."""

    slug = "webhook-not-found"
    title = "Webhook not found"
    remedy = "`replicalab webhooks list` and `GET /v1/webhooks` show the webhooks there are."


class DeliveryNotFound(NotFound):
    """The webhook has no such delivery; deliveries are kept for 30 days."""

    slug = "delivery-not-found"
    title = "Delivery not found"
    remedy = "`replicalab webhooks deliveries` shows the newest deliveries of a webhook."


class UnsafeWebhookUrl(InvalidRequest):
    """The address of a webhook is none that this service may send to."""

    slug = "unsafe-webhook-url"
    title = "Nothing is sent to this address"
    remedy = (
        "Use an https address that is reachable from outside. An administrator can allow networks "
        "of the lab with REPLICALAB_WEBHOOKS__NETWORKS."
    )


class RequestTimeout(InvalidRequest):
    """The head or the body of a request has not come in the time that the gateway waits."""

    slug = "request-timeout"
    title = "The request came too slowly"
    remedy = (
        "Send it again over a faster connection; large files in parts (`POST /v1/uploads`), of "
        "which only the broken ones are sent again. Administrators set the patience."
    )


class TooManyWebhooks(Conflict):
    """The project has as many webhooks as any may have."""

    slug = "too-many-webhooks"
    title = "Too many webhooks"
    remedy = "Delete webhooks of the project that are not needed any more."


class TooManyTasks(Conflict):
    """The user would have more unfinished tasks than any user may have."""

    slug = "too-many-tasks"
    title = "Too many unfinished tasks"
    remedy = "Submit again once some have ended, or cancel experiments that are not needed."


class LastAdministrator(Conflict):
    """The change would leave the lab without an administrator."""

    slug = "last-administrator"
    title = "The lab needs an administrator"
    remedy = "Give somebody else the role first."


class TooManyTokens(Conflict):
    """The user has as many living tokens as anybody may have."""

    slug = "too-many-tokens"
    title = "Too many tokens"
    remedy = "Revoke tokens that are not used any more."
