"""What surrounds every request: its id, security headers, the access log, the last resort."""

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from replicalab.errors import Defect
from replicalab_api.http.problems import problem_response

REQUEST_ID = "X-Request-ID"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
CLIENT_LEFT = 499

logger = logging.getLogger("replicalab_api.access")


def _request_id(headers: Headers) -> str:
    """The caller's id when it is harmless, so that logs of several services can be joined."""
    given = headers.get(REQUEST_ID, "")
    return given if re.fullmatch(r"[A-Za-z0-9._-]{8,64}", given) else uuid4().hex


class RequestContext:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; nothing an application raises leaves this method."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.monotonic(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = CLIENT_LEFT
        except Exception:
            logger.exception("unhandled error", extra={"request_id": request_id})
            if not status:
                problem = Defect("The request failed; the log has the details under request_id.")
                response = problem_response(Request(scope), problem)
                await response(scope, receive, send_with_headers)
        finally:
            _log(scope, status, time.monotonic() - began)


def _log(scope: Scope, status: int, seconds: float) -> None:
    """One line a request: never a query string, a header or a body, where secrets may be."""
    route = scope.get("route")
    fields = {
        "request_id": scope["state"]["request_id"],
        "method": scope["method"],
        "route": getattr(route, "path", "unmatched"),
        "status": status,
        "seconds": round(seconds, 4),
    }
    logger.info(" ".join(f"{name}={value}" for name, value in fields.items()), extra=fields)
