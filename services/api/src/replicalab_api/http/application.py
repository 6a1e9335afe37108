"""Putting the gateway together from routers, with everything that all of them share."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, params
from fastapi.routing import APIRoute
from starlette.datastructures import State

from replicalab.errors import ReplicaLabError, TokenInUrl, Unauthenticated
from replicalab.refusals import Forbidden, TooManyRequests
from replicalab_api.http import pages, problems
from replicalab_api.http.authentication import Authentication, Identities
from replicalab_api.http.authorisation import Rules, check_complete, operations_of
from replicalab_api.http.head import HeadRequests
from replicalab_api.http.limiting import RateLimitFields, RateLimits, charge_address
from replicalab_api.http.openapi import describe
from replicalab_api.http.request_context import RequestContext

MAX_BODY_BYTES = 2**20
DESCRIPTION = """Measure what is lost when a generative model's samples replace a training set.

Every error is a problem document (RFC 9457); its `type` leads to a page that says what to do."""

description_router = APIRouter(tags=["description"])


@description_router.get("/openapi.json")
def get_openapi_document(request: Request) -> dict[str, Any]:
    """This description."""
    return describe(request.app)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _include(
    app: FastAPI,
    routers: Sequence[APIRouter],
    dependency: params.Depends,
    *refusals: type[ReplicaLabError],
) -> None:
    """Serve ``routers`` behind a dependency that raises ``refusals``."""
    for router in routers:
        app.include_router(
            router, dependencies=[dependency], responses=problems.responses(*refusals)
        )


def build_app(
    *,
    rules: Rules,
    probes: Sequence[APIRouter] = (),
    open_routers: Sequence[APIRouter],
    protected_routers: Sequence[APIRouter],
) -> FastAPI:
    """Wire routers, authentication, middleware and error handlers; ``equip`` gives them work.

    Args:
        rules: What each route asks of its callers.
        probes: Served to everybody, as often as they like.
        open_routers: Served to everybody, within the limit of an address.
        protected_routers: Served with a credential only.

    Raises:
        Defect: A route has no rule.
    """
    app = FastAPI(
        title="ReplicaLab",
        version=version("replicalab-api"),
        description=DESCRIPTION,
        docs_url=None,  # the pages would load scripts of a third party
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    for router in probes:
        app.include_router(router)
    charged = Depends(charge_address)
    _include(app, (pages.router, *open_routers), charged, TooManyRequests)
    opened = operations_of(app)
    known = Depends(Authentication(rules))
    refusals = (Unauthenticated, TokenInUrl, Forbidden, TooManyRequests)
    _include(app, (description_router, *protected_routers), known, *refusals)
    check_complete(app, rules, operations_of(app) - opened)
    problems.install(app)
    app.add_middleware(RateLimitFields)
    app.add_middleware(HeadRequests)
    app.add_middleware(RequestContext)
    return app


def equip(
    app: FastAPI,
    *,
    identities: Identities,
    limits: RateLimits,
    state: Mapping[str, object],
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """Give an app everything that its routes look up in ``app.state``, and nothing else.

    Args:
        app: What ``build_app`` has made.
        identities: Who is who.
        limits: How often they may ask.
        state: What the dependencies of its routers look up.
        max_body_bytes: Longer request bodies are refused.
    """
    frame = {"identities": identities, "rate_limits": limits, "max_body_bytes": max_body_bytes}
    app.state = State({**frame, **state})
    return app
