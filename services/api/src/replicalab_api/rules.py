"""Who may call what: the one table. ``docs/authorisation.md`` is made from it and tested.

Roles are the least role in the lab. What an object asks besides is in its repository: something
that the caller may not see does not exist (404); something visible that their role in its
project does not allow is refused (403).
"""

from replicalab.domain.accounts import Role, Scope
from replicalab_api.http.authorisation import Rule, Rules
from replicalab_api.settings import LimitGroup

_READ = Rule(Role.VIEWER, Scope.READ)
_RUN = Rule(Role.RESEARCHER, Scope.WRITE)
_OWN_TOKENS = Rule(Role.VIEWER, Scope.TOKENS)
_MAINTAIN = Rule(Role.MAINTAINER, Scope.WRITE)
_ADMINISTER = Rule(Role.ADMIN, Scope.ADMIN)

_SUBMIT = Rule(Role.RESEARCHER, Scope.WRITE, LimitGroup.SUBMISSIONS)
_REPORT = Rule(Role.VIEWER, Scope.READ, LimitGroup.REPORTS)

_EXPERIMENT = "/v1/experiments/{experiment_id}"
_WEBHOOK = "/v1/webhooks/{webhook_id}"
_GENERATOR = "/v1/generators/{generator_id}"
_DATASET = "/v1/datasets/{dataset_id}"
_UPLOAD = "/v1/uploads/{upload_id}"

RULES: Rules = {
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/problems/{slug}"): None,
    ("POST", "/v1/session"): None,
    ("GET", "/v1/session/oidc"): None,
    ("GET", "/v1/session/oidc/callback"): None,
    ("GET", "/openapi.json"): _READ,
    ("POST", "/v1/experiments"): _SUBMIT,
    ("POST", "/v1/experiments:validate"): Rule(Role.VIEWER, Scope.READ, LimitGroup.SUBMISSIONS),
    ("POST", "/v1/experiments:import"): _SUBMIT,
    ("GET", "/v1/experiments"): _READ,
    ("GET", _EXPERIMENT): _READ,
    ("PATCH", _EXPERIMENT): _RUN,
    ("POST", f"{_EXPERIMENT}:cancel"): _RUN,
    ("POST", f"{_EXPERIMENT}:hold"): _RUN,
    ("POST", f"{_EXPERIMENT}:release"): _RUN,
    ("POST", f"{_EXPERIMENT}:retry"): _SUBMIT,
    ("GET", f"{_EXPERIMENT}/diff"): _READ,
    ("GET", f"{_EXPERIMENT}/tasks"): _READ,
    ("GET", f"{_EXPERIMENT}/results"): _REPORT,
    ("GET", f"{_EXPERIMENT}/export"): _REPORT,
    ("GET", f"{_EXPERIMENT}/artifacts"): _READ,
    ("GET", f"{_EXPERIMENT}/artifacts/{{task_key}}/{{name}}"): _READ,
    ("GET", f"{_EXPERIMENT}/events"): _READ,
    ("GET", "/v1/workers"): _READ,
    ("POST", "/v1/workers/{node}:drain"): _MAINTAIN,
    ("POST", "/v1/workers/{node}:resume"): _MAINTAIN,
    ("GET", "/v1/storage"): Rule(Role.MAINTAINER, Scope.READ),
    ("POST", "/v1/storage:sweep"): _ADMINISTER,
    ("POST", "/v1/generators"): _SUBMIT,
    ("GET", "/v1/generators"): _READ,
    ("GET", _GENERATOR): _READ,
    ("DELETE", _GENERATOR): _RUN,
    ("POST", "/v1/datasets"): _RUN,
    ("GET", "/v1/datasets"): _READ,
    ("GET", _DATASET): _READ,
    ("DELETE", _DATASET): _RUN,
    ("POST", "/v1/uploads"): _RUN,
    ("GET", _UPLOAD): _READ,
    ("DELETE", _UPLOAD): _RUN,
    ("POST", f"{_UPLOAD}:presign"): _RUN,
    ("PUT", f"{_UPLOAD}/parts/{{number}}"): _RUN,
    ("POST", f"{_UPLOAD}:complete"): _RUN,
    ("POST", "/v1/webhooks"): _RUN,
    ("GET", "/v1/webhooks"): _READ,
    ("GET", _WEBHOOK): _READ,
    ("DELETE", _WEBHOOK): _RUN,
    ("POST", f"{_WEBHOOK}:rotate"): _RUN,
    ("POST", f"{_WEBHOOK}:test"): _RUN,
    ("GET", f"{_WEBHOOK}/deliveries"): _READ,
    ("POST", f"{_WEBHOOK}/deliveries/{{delivery_id}}:redeliver"): _RUN,
    ("GET", "/v1/me"): _READ,
    ("PUT", "/v1/me/password"): _OWN_TOKENS,
    ("DELETE", "/v1/session"): _READ,
    ("GET", "/v1/tokens"): _OWN_TOKENS,
    ("POST", "/v1/tokens"): _OWN_TOKENS,
    ("DELETE", "/v1/tokens/{token_id}"): _OWN_TOKENS,
    ("POST", "/v1/tokens/{token_id}:rotate"): _OWN_TOKENS,
    ("GET", "/v1/projects"): _READ,
    ("POST", "/v1/projects"): _MAINTAIN,
    ("GET", "/v1/projects/{project_id}"): _READ,
    ("GET", "/v1/projects/{project_id}/members"): _READ,
    ("PUT", "/v1/projects/{project_id}/members/{user_id}"): _MAINTAIN,
    ("DELETE", "/v1/projects/{project_id}/members/{user_id}"): _MAINTAIN,
    ("GET", "/v1/usage"): _READ,
    ("GET", "/v1/users"): Rule(Role.MAINTAINER, Scope.READ),
    ("POST", "/v1/users"): _ADMINISTER,
    ("GET", "/v1/users/{user_id}"): Rule(Role.MAINTAINER, Scope.READ),
    ("PATCH", "/v1/users/{user_id}"): _ADMINISTER,
    ("PUT", "/v1/users/{user_id}/quota"): _ADMINISTER,
    ("GET", "/v1/audit"): _ADMINISTER,
}
