"""Running the gateway so that open streams end when it is told to stop."""

import socket

import uvicorn
from fastapi import FastAPI

from replicalab_api.http.patience import patient
from replicalab_api.http.wakeups import Wakeups
from replicalab_api.settings import PatienceSettings

GRACE_SECONDS = 10


class Server(uvicorn.Server):
    """uvicorn, telling streams to end before it waits for their connections to close."""

    def __init__(self, config: uvicorn.Config, wakeups: Wakeups) -> None:
        super().__init__(config)
        self._wakeups = wakeups

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, end streams, wait for the other answers, then stop the app."""
        self._wakeups.close()
        await super().shutdown(sockets)


def serve(
    app: FastAPI, wakeups: Wakeups, *, host: str, port: int, patience: PatienceSettings
) -> None:
    """Serve ``app`` until SIGTERM or SIGINT.

    uvicorn's own access log is off, since it writes query strings; ``RequestContext`` logs.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        http=patient(patience),
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=2**14,
    )
    Server(config, wakeups).run()
