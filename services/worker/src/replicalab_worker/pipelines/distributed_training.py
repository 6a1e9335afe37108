"""Training a generator in several processes of this machine, one per GPU.

The handler starts the ranks on a private folder with everything they read, and then does what
rank 0 asks: write an artifact, save a checkpoint, report progress.
"""

import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import assert_never

import torch

from replicalab.domain.tasks import TrainGenerator
from replicalab.engine.handlers import MemoryContext, TaskContext, TaskStopped
from replicalab_worker.pipelines.generator_training import check_device
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.pipelines.training_run import CHECKPOINT_SECONDS
from replicalab_worker.runtime.ranks import Ranks

RANK_MODULE = "replicalab_worker.pipelines.training_rank"
PARAMS, IMAGES, CHECKPOINT, PACE = "params.json", "train.npz", "checkpoint", "checkpoint-seconds"


@dataclass(frozen=True, slots=True)
class Write:
    """Rank 0 has made an artifact."""

    name: str
    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Rank 0 has taken the state of the training."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """How far rank 0 is; it waits for the answer, whether to go on."""

    done: float
    total: float
    stage: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Rank 0 will ask for nothing more; ``error`` is why it gave up."""

    error: Exception | None = None


Message = Write | SaveCheckpoint | Report | Ended


class DistributedTraining:
    """Handler of ``train-generator``, in several processes.

    Args:
        device: Kind of device; on CUDA, rank k trains on GPU k of those this worker sees.
        processes: How many.
        checkpoint_seconds: Least time between two checkpoints.
    """

    def __init__(
        self,
        device: torch.device,
        processes: int,
        *,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._device = device
        self._processes = processes
        self._checkpoint_seconds = checkpoint_seconds

    def __call__(self, context: TaskContext, params: TrainGenerator) -> None:
        """Train, and write what the training in one process writes.

        Raises:
            ChildProcessError: A rank died; the others were ended.
        """
        check_device(params.training, self._device, processes=self._processes)
        read_images(context, "train", classes=params.classes)
        with tempfile.TemporaryDirectory(prefix="replicalab-training-") as name:
            folder = Path(name)
            self._fill(folder, context, params)
            ranks = Ranks(RANK_MODULE, folder, self._processes)
            try:
                serve(ranks.connection, context)
            except (EOFError, ConnectionError):
                raise ranks.failure() from None
            finally:
                ranks.end()

    def _fill(self, folder: Path, context: TaskContext, params: TrainGenerator) -> None:
        (folder / PARAMS).write_text(params.model_dump_json())
        (folder / PACE).write_text(str(self._checkpoint_seconds))
        (folder / IMAGES).write_bytes(context.read("train")[0])
        checkpoint = context.load_checkpoint()
        if checkpoint is not None:
            (folder / CHECKPOINT).write_bytes(checkpoint)


class RankContext(MemoryContext):
    """A task as a rank sees it: inputs from the folder, the rest through rank 0's connection.

    Args:
        folder: What the handler has filled.
        connection: To the handler; None for ranks that only compute.
    """

    def __init__(self, folder: Path, connection: Connection | None) -> None:
        super().__init__({"train": [(folder / IMAGES).read_bytes()]})
        checkpoint = folder / CHECKPOINT
        self.checkpoint = checkpoint.read_bytes() if checkpoint.exists() else None
        self._connection = connection

    def write(self, name: str, body: bytes, media_type: str) -> None:
        self._ask(Write(name, body, media_type))

    def save_checkpoint(self, body: bytes) -> None:
        self._ask(SaveCheckpoint(body))

    def progress(self, done: float, total: float, stage: str = "") -> None:
        if not self._ask(Report(done, total, stage)):
            raise TaskStopped

    def _ask(self, message: Message) -> bool:
        """Whether to go on, once the handler has done what ``message`` asks for."""
        if self._connection is None:
            return True
        self._connection.send(message)
        return bool(self._connection.recv())


def serve(connection: Connection, context: TaskContext) -> None:
    """Do what rank 0 asks until it ends.

    Raises:
        TaskStopped: The task was asked to stop, and rank 0 has saved where it stood.
        EOFError: Rank 0 died.
        Exception: Why rank 0 gave up.
    """
    is_stopped = False
    while True:
        message: Message = connection.recv()
        if isinstance(message, Ended):
            if is_stopped:
                raise TaskStopped
            if message.error is not None:
                raise message.error
            return
        try:
            _do(message, context)
        except TaskStopped:
            is_stopped = True
        try:
            connection.send(not is_stopped)
        except BrokenPipeError:
            raise EOFError from None


def _do(message: Write | SaveCheckpoint | Report, context: TaskContext) -> None:
    match message:
        case Write():
            context.write(message.name, message.body, message.media_type)
        case SaveCheckpoint():
            context.save_checkpoint(message.body)
        case Report():
            context.progress(message.done, message.total, message.stage)
        case _:
            assert_never(message)
