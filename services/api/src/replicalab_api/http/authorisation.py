"""What a route asks of its callers; a route without a rule does not start."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts

from replicalab.domain.accounts import Principal, Role, Scope
from replicalab.errors import Defect

Operation = tuple[str, str]
"""Method and path template, as OpenAPI has them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The least role in the lab, and the scope of the credential."""

    role: Role
    scope: Scope


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


def authorise(request: Request, rules: Rules, caller: Principal) -> None:
    """Raise ``Forbidden`` unless ``caller`` may call the request's route at all."""
    route = request.scope["route"]
    rule = rules.get((request.method, route.path_format))
    if rule is None:
        raise Defect("A protected route has no rule.")
    caller.require(rule.role, rule.scope)
