"""What the engine asks of a service: one handler per kind of task, and what a handler gets.

A handler reads inputs, computes, writes artifacts and measurements, and calls ``progress`` often:
that is where a cancelled task stops. It knows nothing of leases, retries, queues or databases.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO, Protocol

from replicalab.domain import artifacts
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.measures import Measurement
from replicalab.domain.tasks import TaskKind
from replicalab.errors import ArtifactNotFound


class TaskStopped(BaseException):
    """Raised inside ``progress`` when the task must stop: cancelled, fenced or shutting down.

    Not an ``Exception``, so that no handler mistakes it for a failure of its own.
    """


class TaskContext(Protocol):
    """One run of one task, seen from inside."""

    def read(self, role: str) -> list[bytes]:
        """Bytes of every input in ``role``, in the order planned, digests checked."""

    def refs(self, role: str) -> list[ArtifactRef]:
        """Digests and sizes of every input in ``role``, without reading them."""

    def read_file(self, ref: ArtifactRef) -> bytes:
        """Bytes that were uploaded, which the parameters name, digest checked."""

    def open_file(self, ref: ArtifactRef) -> AbstractContextManager[BinaryIO]:
        """The same bytes as a file to read and seek in, for as long as the context lasts."""

    def write(self, name: str, body: bytes, media_type: str) -> None:
        """Store an output artifact; others see it once the task has succeeded."""

    def write_file(self, name: str, file: BinaryIO, media_type: str) -> None:
        """As ``write``, from the whole of ``file``, holding only a piece of it in memory."""

    def measure(self, measurements: Sequence[Measurement]) -> None:
        """Report measurements; stored when the task succeeds."""

    def progress(self, done: float, total: float, stage: str = "") -> None:
        """Report how far the task is, in any unit; raises ``TaskStopped`` when it must stop."""

    def load_checkpoint(self) -> bytes | None:
        """What an earlier attempt at the same work saved last, if it can be read.

        Artifacts written before it was saved count as written again.
        """

    def save_checkpoint(self, body: bytes) -> None:
        """Let the next attempt go on from here, if this one is cut short.

        Only the last one is kept, for some days after a failure or a cancellation; success removes
        it. Call it at times, and once more when ``progress`` raises ``TaskStopped``.
        """


Handler = Callable[[TaskContext, Any], None]
"""Runs one task: (context, parameters of the handler's kind)."""

Handlers = Mapping[TaskKind, Handler]


class MemoryContext:
    """A context for tests and for use without the service: inputs and outputs in dicts."""

    def __init__(
        self, inputs: Mapping[str, Sequence[bytes]] | None = None, files: Sequence[bytes] = ()
    ) -> None:
        self._files = {hashlib.sha256(body).hexdigest(): body for body in files}
        self.inputs = {role: list(bodies) for role, bodies in (inputs or {}).items()}
        self.outputs: dict[str, bytes] = {}
        self.media_types: dict[str, str] = {}
        self.measurements: list[Measurement] = []
        self.progress_reports: list[tuple[float, float, str]] = []
        self.checkpoint: bytes | None = None

    def read(self, role: str) -> list[bytes]:
        if role not in self.inputs:
            raise ArtifactNotFound(f"The task has no input in the role {role!r}.")
        return self.inputs[role]

    def refs(self, role: str) -> list[ArtifactRef]:
        return [artifacts.ref_of(body, "application/octet-stream") for body in self.read(role)]

    def read_file(self, ref: ArtifactRef) -> bytes:
        if ref.sha256 not in self._files:
            raise ArtifactNotFound("There is no such file.", sha256=ref.sha256)
        return self._files[ref.sha256]

    @contextmanager
    def open_file(self, ref: ArtifactRef) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.read_file(ref))

    def write(self, name: str, body: bytes, media_type: str) -> None:
        self.outputs[name] = body
        self.media_types[name] = media_type

    def write_file(self, name: str, file: BinaryIO, media_type: str) -> None:
        file.seek(0)
        self.write(name, file.read(), media_type)

    def measure(self, measurements: Sequence[Measurement]) -> None:
        self.measurements.extend(measurements)

    def progress(self, done: float, total: float, stage: str = "") -> None:
        self.progress_reports.append((done, total, stage))

    def load_checkpoint(self) -> bytes | None:
        return self.checkpoint

    def save_checkpoint(self, body: bytes) -> None:
        self.checkpoint = body


def write_measurements(context: TaskContext, measurements: Sequence[Measurement]) -> None:
    """Report ``measurements`` and store them as the artifact that reports read."""
    body = json.dumps([m.model_dump(mode="json") for m in measurements], allow_nan=False)
    context.write(artifacts.MEASUREMENTS, body.encode(), artifacts.JSON)
    context.measure(measurements)
