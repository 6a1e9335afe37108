"""One training in two processes: real torchrun, gloo over the loopback interface."""

import os
import signal
import time
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining
from replicalab.domain.tasks import TrainGenerator
from replicalab.engine.handlers import MemoryContext, TaskStopped
from replicalab.errors import IncompatibleParts
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.distributed_training import (
    RANK_MODULE,
    DistributedTraining,
    Ended,
    Write,
    serve,
)
from replicalab_worker.pipelines.generator_training import GeneratorTraining

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CPU = torch.device("cpu")
PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def recipe(training: EdmTraining) -> EdmTraining:
    """Twelve steps of 33 images: the ranks' parts differ."""
    return training.model_copy(update={"batch_size": 33, "images": 12 * 33, "snapshots": (100,)})


def params(recipe: EdmTraining) -> TrainGenerator:
    return TrainGenerator(training=recipe, classes=2)


def ranks() -> list[int]:
    """Process ids of every rank that lives on this machine and descends from this process."""
    return [
        pid for pid in _processes() if RANK_MODULE in _command(pid) and "ranks" not in _command(pid)
    ]


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _command(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def is_quiet() -> bool:
    """Whether no process of any training is left, given a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(RANK_MODULE in _command(pid) for pid in _processes()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def assert_alike(found: bytes, expected: bytes) -> None:
    """2e-4: gradients are summed in another order, and Adam divides small ones by themselves."""
    weights = load(found)
    for name, weight in load(expected).items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=2e-4, msg=name)


@pytest.fixture(scope="module")
def alone(images: ImageSet, recipe: EdmTraining) -> MemoryContext:
    context = MemoryContext({"train": [images.to_bytes()]})
    GeneratorTraining(CPU)(context, params(recipe))
    return context


def test_two_processes_train_the_weights_that_one_does(
    images: ImageSet, recipe: EdmTraining, alone: MemoryContext
) -> None:
    context = MemoryContext({"train": [images.to_bytes()]})
    DistributedTraining(CPU, 2)(context, params(recipe))
    assert context.outputs.keys() == alone.outputs.keys()
    for name in (artifacts.GENERATOR_WEIGHTS, artifacts.snapshot_weights(100)):
        assert_alike(context.outputs[name], alone.outputs[name])
    assert context.progress_reports[0][2].startswith("loss ")
    assert is_quiet()


class StoppedContext(MemoryContext):
    """Stops the task at its first report."""

    def progress(self, done: float, total: float, stage: str = "") -> None:
        super().progress(done, total, stage)
        raise TaskStopped


def test_a_stopped_training_saves_and_can_go_on_in_another_number_of_processes(
    images: ImageSet, recipe: EdmTraining, alone: MemoryContext
) -> None:
    stopped = StoppedContext({"train": [images.to_bytes()]})
    with pytest.raises(TaskStopped):
        DistributedTraining(CPU, 2)(stopped, params(recipe))
    assert is_quiet()
    assert stopped.checkpoint is not None
    again = MemoryContext({"train": [images.to_bytes()]})
    again.checkpoint = stopped.checkpoint
    GeneratorTraining(CPU)(again, params(recipe))
    weights = artifacts.GENERATOR_WEIGHTS
    assert_alike(again.outputs[weights], alone.outputs[weights])


class KillingContext(MemoryContext):
    """Kills the rank that does not report, once."""

    def progress(self, done: float, total: float, stage: str = "") -> None:
        super().progress(done, total, stage)
        for pid in ranks():
            if b"LOCAL_RANK=1" in (Path("/proc") / str(pid) / "environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)


def test_a_rank_that_dies_ends_all_of_them_with_a_reason(
    images: ImageSet, recipe: EdmTraining
) -> None:
    endless = recipe.model_copy(update={"images": 10**7})
    context = KillingContext({"train": [images.to_bytes()]})
    with pytest.raises(ChildProcessError, match="A process of the training died"):
        DistributedTraining(CPU, 2)(context, params(endless))
    assert context.progress_reports
    assert context.outputs.keys() <= {artifacts.snapshot_weights(100)}
    assert is_quiet()


def test_what_rank_0_refuses_is_refused_in_its_own_words() -> None:
    ours, theirs = Pipe()
    theirs.send(Write("a.json", b"{}", artifacts.JSON))
    theirs.send(Ended(FloatingPointError("the loss became nan at step 3")))
    context = MemoryContext()
    with pytest.raises(FloatingPointError, match="at step 3"):
        serve(ours, context)
    assert context.outputs == {"a.json": b"{}"}
    assert theirs.recv()
    theirs.close()
    with pytest.raises(EOFError):
        serve(ours, context)


def test_a_batch_smaller_than_the_processes_starts_none(
    images: ImageSet, recipe: EdmTraining
) -> None:
    context = MemoryContext({"train": [images.to_bytes()]})
    with pytest.raises(IncompatibleParts, match="cannot be shared by the 34 processes"):
        DistributedTraining(CPU, 34)(context, params(recipe))
