"""HEAD for every GET: the same headers, no body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Middleware that serves HEAD as the GET it stands for and keeps the body back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def send_without_body(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def receive_until_started() -> Message:
            # To an endless stream the client seems gone once the headers are out.
            if has_started:
                return {"type": "http.disconnect"}
            return await receive()

        await self._app({**scope, "method": "GET"}, receive_until_started, send_without_body)
