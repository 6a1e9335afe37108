"""A generator training that is cut short goes on to the same bytes."""

import json
import logging
from collections.abc import Iterator

import pytest
import torch

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining, PowerAverages
from replicalab.domain.tasks import TrainGenerator
from replicalab.engine.handlers import MemoryContext, TaskStopped
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.generator_training import GeneratorTraining
from replicalab_worker.pipelines.pace import CheckpointPace

CPU = torch.device("cpu")


class Killed(BaseException):
    """What kill -9 is to a process."""


class MortalContext(MemoryContext):
    """Dies right after a number of checkpoints; artifacts go with it, unless a save names them."""

    def __init__(self, images: ImageSet, *, lives: int, before: "MortalContext | None" = None):
        super().__init__({"train": [images.to_bytes()]})
        self._lives = lives
        if before is not None:
            self.checkpoint, self.outputs = before.checkpoint, dict(before.kept)
        self.kept: dict[str, bytes] = {}

    def save_checkpoint(self, body: bytes) -> None:
        super().save_checkpoint(body)
        self.kept = dict(self.outputs)
        self._lives -= 1
        if self._lives == 0:
            raise Killed


@pytest.fixture(scope="module")
def recipe(training: EdmTraining) -> EdmTraining:
    """Eight steps, with everything that a training can keep."""
    return training.model_copy(
        update={
            "images": 250,
            "snapshots": (1, 100, 250),
            "power_averages": PowerAverages(every_images=90),
        }
    )


@pytest.fixture(scope="module")
def undisturbed(images: ImageSet, recipe: EdmTraining) -> dict[str, bytes]:
    return train(MortalContext(images, lives=-1), recipe, checkpoint_seconds=120.0)


def train(
    context: MemoryContext, recipe: EdmTraining, *, checkpoint_seconds: float = 0.0
) -> dict[str, bytes]:
    """Every output; by default a checkpoint follows every step."""
    handler = GeneratorTraining(CPU, checkpoint_seconds=checkpoint_seconds)
    handler(context, TrainGenerator(training=recipe, classes=2))
    return context.outputs


@pytest.fixture(autouse=True)
def free_checkpoints() -> Iterator[None]:
    """Checkpoints of tiny networks cost more than 2 % of tiny steps."""
    share, CheckpointPace.SHARE = CheckpointPace.SHARE, float("inf")
    yield
    CheckpointPace.SHARE = share


@pytest.mark.parametrize("steps", [(1,), (4,), (7,), (2, 3, 1)])
def test_a_training_killed_at_any_step_ends_with_the_same_bytes(
    images: ImageSet, recipe: EdmTraining, undisturbed: dict[str, bytes], steps: tuple[int, ...]
) -> None:
    context = None
    for lives in steps:
        context = MortalContext(images, lives=lives, before=context)
        with pytest.raises(Killed):
            train(context, recipe)
    last = MortalContext(images, lives=-1, before=context)
    assert train(last, recipe) == undisturbed


def test_snapshots_are_kept_at_the_steps_that_reach_them(
    undisturbed: dict[str, bytes],
) -> None:
    assert sorted(undisturbed) == [
        "generator.json",
        "generator.safetensors",
        "power-averages-180.safetensors",
        "power-averages-250.safetensors",
        "power-averages-90.safetensors",
        "snapshot-1.safetensors",
        "snapshot-100.safetensors",
        "snapshot-250.safetensors",
        "training-curve.json",
    ]
    weights = undisturbed[artifacts.GENERATOR_WEIGHTS]
    assert undisturbed["snapshot-250.safetensors"] == weights
    assert undisturbed["snapshot-100.safetensors"] != weights


def test_keeping_more_does_not_change_the_training(
    images: ImageSet, recipe: EdmTraining, undisturbed: dict[str, bytes]
) -> None:
    plain = recipe.model_copy(update={"snapshots": (), "power_averages": None})
    outputs = train(MortalContext(images, lives=-1), plain)
    assert outputs[artifacts.GENERATOR_WEIGHTS] == undisturbed[artifacts.GENERATOR_WEIGHTS]


@pytest.mark.parametrize("damage", ["empty", "cut", "form", "shapes"])
def test_a_checkpoint_that_is_none_is_dropped_with_a_warning(
    images: ImageSet,
    recipe: EdmTraining,
    undisturbed: dict[str, bytes],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dead = MortalContext(images, lives=3)
    with pytest.raises(Killed):
        train(dead, recipe)
    assert dead.checkpoint is not None
    context = MortalContext(images, lives=-1)
    context.checkpoint = {
        "empty": b"",
        "cut": dead.checkpoint[:-10],
        "form": dead.checkpoint.replace(b"replicalab-training-1", b"replicalab-training-2"),
        "shapes": dead.checkpoint.replace(b"[8,8,3,3]", b"[8,3,8,3]"),
    }[damage]
    with caplog.at_level(logging.WARNING):
        assert train(context, recipe) == undisturbed
    assert "starts over" in caplog.text


class StoppedContext(MortalContext):
    """Stops the task at its first report."""

    def progress(self, done: float, total: float, stage: str = "") -> None:
        super().progress(done, total, stage)
        raise TaskStopped


def test_a_stopped_training_saves_where_it_stands(
    images: ImageSet, recipe: EdmTraining, undisturbed: dict[str, bytes]
) -> None:
    stopped = StoppedContext(images, lives=-1)
    with pytest.raises(TaskStopped):
        train(stopped, recipe, checkpoint_seconds=120.0)
    assert stopped.checkpoint is not None
    again = MortalContext(images, lives=-1, before=stopped)
    assert train(again, recipe) == undisturbed
    first = again.progress_reports[0]
    assert first[0] > stopped.progress_reports[0][0]


def first_loss(context: MemoryContext) -> float:
    loss: float = json.loads(context.outputs[artifacts.TRAINING_CURVE])["loss"][0]
    return loss


def test_progress_tells_loss_images_speed_and_what_is_left(
    images: ImageSet, recipe: EdmTraining
) -> None:
    context = MortalContext(images, lives=-1)
    train(context, recipe)
    done, total, stage = context.progress_reports[0]
    assert (done, total) == (32, 250)
    assert stage.startswith(f"loss {first_loss(context):.4f}, ")
    assert "32 of 250 images, " in stage
    assert " images/s, " in stage
    assert stage.endswith(" left")


def test_a_checkpoint_waits_until_the_last_one_is_paid_for() -> None:
    CheckpointPace.SHARE = 0.02
    pace = CheckpointPace(interval_seconds=0.0)
    assert pace.is_due()
    pace.took(seconds=100.0)
    assert not pace.is_due()
    pace.took(seconds=0.0)
    assert pace.is_due()
