"""What the routes of an app say about a path."""

from fastapi import Request
from starlette.routing import Match

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(request: Request) -> set[str]:
    """Every method that some route serves at the request's path.

    Starlette itself names only the methods of the first route with that path.
    """
    found = {"OPTIONS"}
    for method in METHODS:
        scope = dict(request.scope) | {"method": method, "path_params": {}}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found.add(method)
    return found | ({"HEAD"} if "GET" in found else set())
