"""How paths find their routes."""

from fastapi import Request
from starlette.convertors import Convertor, register_url_convertor
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


class IdConvertor(Convertor[str]):
    """A path segment that is no action: ``{name:id}`` matches ``<id>`` but not ``<id>:cancel``."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", IdConvertor())
