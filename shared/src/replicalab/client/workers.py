"""The workers of a service; ``Lab.workers``."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from pydantic import TypeAdapter

from replicalab.client.transport import Transport
from replicalab.domain.resources import WorkerRead

ROOT = "/v1/workers"
_WORKERS = TypeAdapter(list[WorkerRead])


class Workers:
    """Who runs tasks, and taking a worker out of service. ``Lab.workers`` has one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Sequence[WorkerRead]:
        """Every worker that was ever there, those seen last first."""
        return _WORKERS.validate_json(self._transport.send("GET", ROOT).content)

    def drain(self, node: str, *, reason: str | None = None) -> WorkerRead:
        """Take a worker out of service once its present task has ended; for maintainers.

        Raises:
            WorkerNotFound: No worker has this name.
        """
        return self._change(node, "drain", {"reason": reason} if reason else {})

    def resume(self, node: str) -> WorkerRead:
        """Let a worker take tasks again; for maintainers. Raises ``WorkerNotFound``."""
        return self._change(node, "resume", {})

    def _change(self, node: str, action: str, params: Mapping[str, str]) -> WorkerRead:
        path = f"{ROOT}/{quote(node, safe='@')}:{action}"
        return WorkerRead.model_validate_json(
            self._transport.send("POST", path, params=params).content
        )
