"""Train ``edm-digits`` by its preset, measure its snapshots, and draw the curve of the training.

    OMP_NUM_THREADS=1 python benchmarks/training_curve.py FOLDER --minutes 10

Stops after the minutes given and goes on from there the next time it is run on the same folder.
Every snapshot reconstructs the whole training split from pure diffusion (t_re = N = 18), and the
Frechet distance to the real images is taken in the in-domain features of the demo study.
"""

import argparse
import hashlib
import json
import platform
import subprocess
import time
from pathlib import Path

import torch
from digits_judge import CPU, SHIPPED, DigitsJudge, shipped_generator
from safetensors.torch import load

from replicalab.domain import artifacts
from replicalab.domain.presets import digits_training
from replicalab.engine.handlers import MemoryContext, TaskStopped
from replicalab.storage.image_sets import ImageSet
from replicalab_metrics.figures.style import BLUE, GREY, VERMILION, figure_style, new_figure, render
from replicalab_worker.pipelines.generator_training import GeneratorTraining, form_of, loss_curve
from replicalab_worker.runtime.device import prepare_process
from replicalab_worker.weights.description import GeneratorDescription, TrainedHere

SNAPSHOTS = (10_000, 20_000, 50_000, 100_000, 200_000, 350_000, 500_000, 750_000, 1_000_000)
FIGURE = "edm-digits-training"
TRAINING = digits_training().training.model_copy(update={"snapshots": SNAPSHOTS})


class FolderContext(MemoryContext):
    """A task whose artifacts and checkpoint are files, and which stops when its time is over."""

    def __init__(self, images: bytes, folder: Path, minutes: float) -> None:
        super().__init__({"train": [images]})
        self._folder = folder
        self._end = time.monotonic() + 60 * minutes
        self._saved = folder / "checkpoint"
        self.checkpoint = self._saved.read_bytes() if self._saved.exists() else None

    def write(self, name: str, body: bytes, media_type: str) -> None:  # noqa: ARG002
        (self._folder / name).write_bytes(body)

    def save_checkpoint(self, body: bytes) -> None:
        super().save_checkpoint(body)
        self._saved.with_suffix(".new").write_bytes(body)
        self._saved.with_suffix(".new").replace(self._saved)

    def progress(self, done: float, total: float, stage: str = "") -> None:  # noqa: ARG002
        print(f"\r{stage}    ", end="", flush=True)
        if time.monotonic() > self._end:
            raise TaskStopped


def describe(weights: bytes, images: ImageSet, images_seen: int, classes: int) -> bytes:
    """The description of a snapshot, as if the training had ended there."""
    return GeneratorDescription(
        **dict(form_of(TRAINING, images, classes=classes)),
        origin=TrainedHere(training=TRAINING, images_seen=images_seen, final_loss=0.0),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    ).to_bytes()


def losses_so_far(folder: Path) -> dict[str, list[float]]:
    """The curve of the finished training, or of the part that the checkpoint holds."""
    finished = folder / artifacts.TRAINING_CURVE
    if finished.exists():
        body = finished.read_bytes()
    else:
        losses = load((folder / "checkpoint").read_bytes())["losses"].tolist()
        body = loss_curve(losses, TRAINING.batch_size)
    return dict(json.loads(body))


def draw(curve: dict, folder: Path) -> None:
    """Loss above, distance of the snapshots below, against images seen."""
    with figure_style():
        figure = new_figure(4.2)
        top, bottom = figure.subplots(2, 1, sharex=True)
        top.plot(curve["images_seen"], curve["loss"], color=BLUE)
        top.set(title="training loss", ylim=(0, None))
        points = curve["snapshots"]
        bottom.plot(
            [point["images_seen"] for point in points],
            [point["frechet_distance"] for point in points],
            color=VERMILION,
            marker="o",
        )
        shipped = curve["shipped"]
        bottom.axhline(shipped, color=GREY, linestyle="--", label=f"{SHIPPED}: {shipped:.3f}")
        bottom.set(
            title="Frechet distance of reconstructions from t_re = 18 to the training images",
            xlabel="images seen",
            xscale="log",
            yscale="log",
        )
        bottom.legend()
    rendered = render(figure)
    (folder / f"{FIGURE}.svg").write_bytes(rendered.svg)
    (folder / f"{FIGURE}.png").write_bytes(rendered.png)


def main() -> None:
    """Train for a while, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    prepare_process()
    judge = DigitsJudge()
    params = judge.training.model_copy(update={"training": TRAINING})
    if not (folder / artifacts.GENERATOR_WEIGHTS).exists():
        try:
            GeneratorTraining(CPU)(FolderContext(judge.train, folder, arguments.minutes), params)
        except TaskStopped:
            print("\nstopped; run again to go on")
    images = ImageSet.from_bytes(judge.train)
    snapshots = []
    for seen in SNAPSHOTS:
        path = folder / artifacts.snapshot_weights(seen)
        if path.exists():
            body = path.read_bytes()
            description = describe(body, images, seen, params.classes)
            distance = judge.distance((body, description)).value
            snapshots.append({"images_seen": seen, "frechet_distance": distance})
            print(f"{seen:>9,} images: {distance:.4f}")
    curve = {
        **losses_so_far(folder),
        "snapshots": snapshots,
        "shipped": judge.distance(shipped_generator()).value,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip(),
    }
    (folder / f"{FIGURE}.json").write_text(json.dumps(curve) + "\n")
    draw(curve, folder)
    print(f"{SHIPPED}: {curve['shipped']:.4f}; see {folder / FIGURE}.svg")


if __name__ == "__main__":
    main()
