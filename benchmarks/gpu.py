"""How fast a GPU reconstructs with the CIFAR-10 network, against the plain loop on the same GPU.

    python benchmarks/gpu.py [--only plain|workers] [--precisions float16 bfloat16 float32]

The plain loop is PyTorch as it comes: contiguous float32, whose convolutions round to TF32. Ours
is the task as a worker runs it, from the noise of its images to the packed archive.
"""

import argparse
import functools
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from contestants import CIFAR, CLASSES, STEPS, inputs, plain_process, textbook
from rounds import (
    Contestant,
    Timing,
    Workload,
    alone_and_together,
    machine,
    print_table,
    ratio,
    take_turns,
)
from textbook import heun
from torch.utils.flop_counter import FlopCounterMode

from replicalab.domain import artifacts
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.networks import DdpmppNetwork, EdmPreconditioningSpec
from replicalab.domain.precisions import Precision
from replicalab.domain.samplers import HeunSampler
from replicalab.domain.tasks import Reconstruct
from replicalab.engine.handlers import MemoryContext
from replicalab.planning.replication import shards
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.checkpoints import save_weights
from replicalab_worker.pipelines.reconstruction import Reconstruction
from replicalab_worker.runtime.device import prepare_process
from replicalab_worker.weights.description import GeneratorDescription, ImportedSnapshot

GPU = torch.device("cuda")
CALLS = 2 * STEPS - 1
GOALS = {"float16": 3.0, "bfloat16": 3.0}
PLAIN = "plain loop"
PRECISIONS: tuple[Precision, ...] = ("float16", "bfloat16", "float32")

Row = tuple[str, ...]
HEADER = ("what", "images/s", "spread s", "n", "ratio", "goal", "TFLOP/s", "of dense bfloat16")


def plain_sampling(images: int) -> Workload:
    plain_process(torch.get_num_threads())
    network = textbook(CIFAR).to(GPU)

    def run() -> np.ndarray:
        made = []
        for _, count in shards(images):
            noise, classes = (values.to(GPU) for values in inputs(CIFAR, count))
            made.append(heun(network, noise, classes, STEPS).cpu().numpy())
        return np.concatenate(made)

    return run


class StoredContext(MemoryContext):
    """Knows the digests of its inputs, as a worker does; the other computes them for each task."""

    @functools.cache  # noqa: B019
    def refs(self, role: str) -> list[ArtifactRef]:
        return super().refs(role)


def our_tasks(images: int, precision: Precision) -> Workload:
    """The tasks of a study, one after the other, as a worker's process runs them."""
    prepare_process()
    context = StoredContext({"train": [blank_images(images)], **generator()})
    reconstruct = Reconstruction(GPU)

    def run() -> np.ndarray:
        made = []
        for first, count in shards(images):
            params = Reconstruct(
                sampler=HeunSampler(steps=STEPS),
                t_re=STEPS,
                start="noise",
                noise_seed=0,
                precision=precision,
                first=first,
                count=count,
            )
            reconstruct(context, params)
            made.append(ImageSet.from_bytes(context.outputs[artifacts.RECONSTRUCTED_IMAGES]))
        return ImageSet.concatenate(made).images.astype(np.float64)

    return run


def generator() -> dict[str, list[bytes]]:
    """The plain network's weights and description, as a worker reads them."""
    weights = save_weights(textbook(CIFAR))
    digest = hashlib.sha256(weights).hexdigest()
    description = GeneratorDescription(
        network=DdpmppNetwork(
            channels=CIFAR["channels"],
            channel_mult=tuple(CIFAR["channel_mult"]),
            blocks=CIFAR["blocks"],
            attention_resolutions=tuple(CIFAR["attention_resolutions"]),
            dropout=CIFAR["dropout"],
        ),
        preconditioning=EdmPreconditioningSpec(sigma_data=0.5),
        resolution=CIFAR["resolution"],
        channels=CIFAR["image_channels"],
        classes=CIFAR["classes"],
        augment_labels=CIFAR["augment_labels"],
        origin=ImportedSnapshot(snapshot_sha256=digest, licence="random weights"),
        weights_sha256=digest,
    )
    return {"generator": [weights], "description": [description.to_bytes()]}


def blank_images(count: int) -> bytes:
    """A training set of which only the labels and the size matter, as sampling begins at noise."""
    size = CIFAR["resolution"], CIFAR["resolution"], CIFAR["image_channels"]
    places = np.arange(count, dtype=np.int64)
    return ImageSet(np.zeros((count, *size), dtype=np.uint8), places % CLASSES, places).to_bytes()


def against_plain(images: int, rounds: int, precisions: Sequence[Precision]) -> Iterator[Row]:
    """One worker in every precision, against the plain loop."""
    contestants = {PLAIN: Contestant(plain_sampling, images=images)}
    for precision in precisions:
        contestants[precision] = Contestant(our_tasks, images=images, precision=precision)
    timings = take_turns(contestants, rounds)
    dense, work = dense_rate(), images * CALLS * operations()
    for name, timing in timings.items():
        speed = f"{ratio(timings[PLAIN].seconds, timing.seconds):.2f}"
        goal = f"{GOALS[name]:g}" if name in GOALS else ""
        rate = work / timing.median
        yield (*described(name, timing, images), speed, goal, *utilisation(rate, dense))
    for contestant in contestants.values():
        contestant.stop()


def two_workers(images: int, rounds: int, precisions: Sequence[Precision]) -> Iterator[Row]:
    """Two workers on the card against one, on twice the images."""
    for precision in precisions:
        pair = [Contestant(our_tasks, images=images, precision=precision) for _ in range(2)]
        one, two = alone_and_together(pair, rounds)
        yield (*described(f"one worker, {precision}", one, images), "1.00", "", "", "")
        speed = f"{2 * ratio(one.seconds, two.seconds):.2f}"
        yield (*described(f"two workers, {precision}", two, 2 * images), speed, "", "", "")


def described(name: str, timing: Timing, images: int) -> Row:
    return name, f"{images / timing.median:.1f}", timing.spread, str(len(timing.seconds))


def utilisation(rate: float, dense: float) -> tuple[str, str]:
    return f"{rate / 1e12:.0f}", f"{rate / dense:.0%}"


def operations() -> int:
    """Floating-point operations of one image's call of the network; a product and a sum are two."""
    network, (noise, classes) = textbook(CIFAR), inputs(CIFAR, 1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(noise, torch.tensor(1.0), classes)
    total: int = counter.get_total_flops()
    return total


def dense_rate(size: int = 8192, products: int = 10) -> float:
    """What the card reaches in a large product of bfloat16, operations a second."""
    factors = torch.randn(2, size, size, device=GPU, dtype=torch.bfloat16)
    torch.mm(*factors)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(products):
        torch.mm(*factors)
    end.record()
    end.synchronize()
    return float(products * 2 * size**3 / begin.elapsed_time(end) * 1e3)


SECTIONS = {"plain": against_plain, "workers": two_workers}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds of each section")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="sections to run")
    parser.add_argument("--images", type=int, default=1000, help="in a round")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS[:2])
    arguments = parser.parse_args()
    print(
        f"{machine()}\n{torch.cuda.get_device_name()}, {arguments.images} images, {STEPS} steps\n"
    )
    rows: list[Row] = []
    for name in arguments.only or SECTIONS:
        rows.extend(SECTIONS[name](arguments.images, arguments.rounds, arguments.precisions))
    print()
    print_table(HEADER, rows)


if __name__ == "__main__":
    main()
