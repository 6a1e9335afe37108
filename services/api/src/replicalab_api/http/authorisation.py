"""What a route asks of its callers; a route without a rule does not start."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts

from replicalab.domain.accounts import Role, Scope
from replicalab.errors import Defect
from replicalab_api.http.cookies import SAFE_METHODS
from replicalab_api.settings import LimitGroup

Operation = tuple[str, str]
"""Method and path template, as OpenAPI has them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The least role in the lab, and the scope of the credential."""

    role: Role
    scope: Scope
    limit: LimitGroup | None = None
    """What counts its requests; by default reads or writes, as the method says."""


Rules = Mapping[Operation, Rule | None]
"""None: open to everybody."""


def operations_of(app: FastAPI) -> frozenset[Operation]:
    """Every operation that the app serves."""
    return frozenset(
        (method, route.path_format or "")
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    )


def check_complete(app: FastAPI, rules: Rules, protected: frozenset[Operation]) -> None:
    """Raise ``Defect`` unless every route has a rule, and the open ones are those without auth.

    Args:
        app: With all of its routes.
        rules: The table.
        protected: Operations that authenticate their callers.
    """
    served = operations_of(app)
    if missing := sorted(served - rules.keys()):
        raise Defect(f"No rule says who may call {missing}.")
    if wrong := sorted(o for o in served if (rules[o] is not None) != (o in protected)):
        raise Defect(f"Rules and routers disagree on whether these are open: {wrong}.")


def rule_of(request: Request, rules: Rules) -> Rule:
    """The rule of the request's route, which is a protected one."""
    route = request.scope["route"]
    rule = rules.get((request.method, route.path_format))
    if rule is None:
        raise Defect("A protected route has no rule.")
    return rule


def limit_of(request: Request, rule: Rule) -> LimitGroup:
    """What counts the request."""
    is_read = request.method in SAFE_METHODS
    return rule.limit or (LimitGroup.READS if is_read else LimitGroup.WRITES)
