"""The process that runs handlers: spawned, so that CUDA and native crashes stay in it.

It talks to its supervisor over one pipe: jobs come in, progress and outcomes go out. It holds no
lease and no database connection; if the supervisor dies, the kernel ends it too.
"""

import faulthandler
import logging
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import BinaryIO

from replicalab.domain.artifacts import ArtifactRef, Damage, NamedArtifact
from replicalab.domain.measures import Measurement
from replicalab.domain.tasks import TASK_PARAMS, TaskKey, TaskKind
from replicalab.domain.text import told
from replicalab.engine.failures import FailureClass, classify
from replicalab.engine.handlers import Handlers, TaskStopped
from replicalab.errors import ArtifactCorrupt, ArtifactNotFound, ReplicaLabError
from replicalab.file_errors import ArtifactMissing
from replicalab.lifelines import die_with
from replicalab.settings import LocalStoreSettings, S3StoreSettings
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.checkpoints import Checkpoint, CheckpointStore
from replicalab.storage.factory import open_store
from replicalab.telemetry import configure_logging

_REPORT_SECONDS = 0.2
_LONGEST_ERROR_CHARACTERS = 8000
_LONGEST_STAGE_CHARACTERS = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed task as the child needs it: parameters as JSON, inputs by role."""

    key: TaskKey
    epoch: int
    params: str
    inputs: tuple[tuple[str, ArtifactRef], ...]
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the job of ``epoch`` to stop at its next report of progress."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """``fraction`` of the job is done (0 to 1)."""

    fraction: float
    stage: str


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """The store holds a checkpoint, which counts once the supervisor has written its row."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Success:
    """The handler returned; its artifacts are stored."""

    outputs: tuple[NamedArtifact, ...]
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """The handler raised; ``damaged`` names an input artifact that cannot be read, and why."""

    failure: FailureClass
    error: str
    damaged: tuple[str, Damage] | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The handler stopped because it was asked to."""


Message = ProgressReport | CheckpointSaved | Success | Failure | Stopped


@dataclass(slots=True)
class PipeContext:
    """A ``TaskContext`` whose progress goes up the pipe and whose stop comes down it."""

    job: Job
    pipe: Connection
    artifacts: ArtifactStore
    outputs: dict[str, NamedArtifact] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    _reported_at: float = 0.0
    _checkpoints_saved: int = 0

    def read(self, role: str) -> list[bytes]:
        return [self.artifacts.read(ref) for ref in self.refs(role)]

    def refs(self, role: str) -> list[ArtifactRef]:
        refs = [ref for input_role, ref in self.job.inputs if input_role == role]
        if not refs:
            raise ArtifactNotFound(f"The task has no input in the role {role!r}.")
        return refs

    def read_file(self, ref: ArtifactRef) -> bytes:
        return self.artifacts.read(ref)

    def open_file(self, ref: ArtifactRef) -> AbstractContextManager[BinaryIO]:
        return self.artifacts.opened(ref)

    def write(self, name: str, body: bytes, media_type: str) -> None:
        self.outputs[name] = NamedArtifact(name=name, ref=self.artifacts.write(body, media_type))

    def write_file(self, name: str, file: BinaryIO, media_type: str) -> None:
        ref = self.artifacts.write_file(file, media_type)
        self.outputs[name] = NamedArtifact(name=name, ref=ref)

    def measure(self, measurements: Sequence[Measurement]) -> None:
        self.measurements.extend(measurements)

    def progress(self, done: float, total: float, stage: str = "") -> None:
        while self.pipe.poll():
            if self.pipe.recv() == Stop(self.job.epoch):
                raise TaskStopped
        now = time.monotonic()
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            fraction = min(max(done / total, 0.0), 1.0) if total else 0.0
            self.pipe.send(ProgressReport(fraction, told(stage, _LONGEST_STAGE_CHARACTERS)))

    def load_checkpoint(self) -> bytes | None:
        saved = self.job.checkpoint
        if saved is None:
            return None
        try:
            body = CheckpointStore(self.artifacts.objects).read(saved)
        except (ArtifactCorrupt, ArtifactNotFound) as error:
            _log.warning("the task starts over: %s", error.detail)
            return None
        self.outputs |= {output.name: output for output in saved.outputs}
        return body

    def save_checkpoint(self, body: bytes) -> None:
        checkpoint = CheckpointStore(self.artifacts.objects).write(
            body,
            task_key=self.job.key,
            epoch=self.job.epoch,
            number=self._checkpoints_saved,
            outputs=tuple(self.outputs.values()),
        )
        self._checkpoints_saved += 1
        self.pipe.send(CheckpointSaved(checkpoint))


def run_child(
    pipe: Connection,
    load_handlers: Callable[[], Handlers],
    store: LocalStoreSettings | S3StoreSettings,
    log_level: str,
    supervisor_pid: int,
    stacks_path: str,
) -> None:
    """Run jobs from ``pipe`` until it closes; SIGUSR1 writes every stack to ``stacks_path``."""
    die_with(supervisor_pid)
    stacks = open(stacks_path, "ab", buffering=0)  # noqa: SIM115 (open as long as the process)
    faulthandler.register(signal.SIGUSR1, stacks)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; the supervisor decides
    configure_logging(log_level)
    handlers = load_handlers()
    artifacts = ArtifactStore(open_store(store))
    while True:
        try:
            message = pipe.recv()
        except EOFError:
            return
        if isinstance(message, Job):
            pipe.send(_run(message, pipe, handlers, artifacts))


def _run(job: Job, pipe: Connection, handlers: Handlers, artifacts: ArtifactStore) -> Message:
    context = PipeContext(job, pipe, artifacts)
    params = TASK_PARAMS.validate_json(job.params)
    try:
        handlers[TaskKind(params.kind)](context, params)
    except TaskStopped:
        return Stopped()
    except Exception as error:  # noqa: BLE001 - every failure is classified, stored and shown
        _log.warning("task of kind %s failed", params.kind, exc_info=True)
        return _failure_of(error)
    return Success(tuple(context.outputs.values()), tuple(context.measurements))


def _failure_of(error: Exception) -> Failure:
    """Deliberate errors speak for themselves; others bring their traceback."""
    failure = classify(error)
    if isinstance(error, ReplicaLabError):
        text = f"{error.title}: {error.detail}"
    else:
        text = "".join(traceback.format_exception(error))
    damaged = None
    if isinstance(error, ArtifactCorrupt) and "sha256" in error.extensions:
        damage = Damage.MISSING if isinstance(error, ArtifactMissing) else Damage.CORRUPT
        damaged = (str(error.extensions["sha256"]), damage)
    return Failure(failure, told(text, _LONGEST_ERROR_CHARACTERS), damaged)
