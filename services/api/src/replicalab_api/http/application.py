"""Putting the gateway together from routers, with everything that all of them share."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, params
from fastapi.routing import APIRoute

from replicalab.errors import ReplicaLabError, TokenInUrl, Unauthenticated
from replicalab.refusals import Forbidden, TooManyRequests
from replicalab_api.http import pages, problems
from replicalab_api.http.authentication import Authentication
from replicalab_api.http.authorisation import check_complete, operations_of
from replicalab_api.http.head import HeadRequests
from replicalab_api.http.limiting import RateLimitFields
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
    authentication: Authentication,
    probes: Sequence[APIRouter] = (),
    open_routers: Sequence[APIRouter],
    protected_routers: Sequence[APIRouter],
    state: Mapping[str, object],
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """Wire routers, authentication, middleware and error handlers.

    Args:
        authentication: Lets callers of ``protected_routers`` in; its rules name every route.
        probes: Served to everybody, as often as they like.
        open_routers: Served to everybody, within the limit of an address.
        protected_routers: Served with a credential only.
        state: What the routers' dependencies look up in ``app.state``.
        max_body_bytes: Longer request bodies are refused.

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
    for name, value in {"max_body_bytes": max_body_bytes, **state}.items():
        setattr(app.state, name, value)
    for router in probes:
        app.include_router(router)
    charged = Depends(authentication.limits.charge_address)
    _include(app, (pages.router, *open_routers), charged, TooManyRequests)
    opened = operations_of(app)
    known = Depends(authentication)
    refusals = (Unauthenticated, TokenInUrl, Forbidden, TooManyRequests)
    _include(app, (description_router, *protected_routers), known, *refusals)
    check_complete(app, authentication.rules, operations_of(app) - opened)
    problems.install(app)
    app.add_middleware(RateLimitFields, limits=authentication.limits)
    app.add_middleware(HeadRequests)
    app.add_middleware(RequestContext)
    return app
