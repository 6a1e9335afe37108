"""How fast a published snapshot is read and imported, against unpickling it and trusting it.

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/snapshots.py

The file has the form and the size of EDM's class-conditional CIFAR-10 model (223 MB); the tests'
writer makes it with random weights. Memory is what a first run adds to a process that holds the
file.
"""

import argparse
import io
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rounds import Contestant, Workload, machine, print_table, ratio, take_turns

from replicalab.domain.artifacts import ref_of
from replicalab.domain.networks import DdpmppNetwork, EdmPreconditioningSpec, GeneratorForm
from replicalab.domain.tasks import ImportGenerator
from replicalab.engine.handlers import MemoryContext
from replicalab_worker.pipelines.generator_import import import_generator
from replicalab_worker.pipelines.generators import build_network
from replicalab_worker.science.diffusion.initialisation import initialise
from replicalab_worker.weights.snapshots.reading import read_snapshot
from tests.fixtures.snapshots import KWARGS, official

FORM = GeneratorForm(
    network=DdpmppNetwork(),
    preconditioning=EdmPreconditioningSpec(sigma_data=0.5),
    resolution=32,
    channels=3,
    classes=10,
    augment_labels=9,
)
OF_FORM = {
    "img_resolution": 32,
    "img_channels": 3,
    "label_dim": 10,
    "model_channels": 128,
    "channel_mult": [2, 2, 2],
    "num_blocks": 4,
    "attn_resolutions": [16],
}
PLAIN = "pickle and torch, trusting the file"


class Anything:
    """Stands for every class of the official code."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments


class TrustingUnpickler(pickle.Unpickler):
    """Unpickles as the official code does, less its classes."""

    def find_class(self, module: str, name: str) -> Any:
        if module in {"torch._utils", "torch.storage", "collections"}:
            return super().find_class(module, name)
        return Anything


def write_snapshot(path: Path) -> None:
    """A file like the published one."""
    network = build_network(FORM)
    initialise(network, torch.Generator().manual_seed(0))
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    path.write_bytes(official(tensors, KWARGS | OF_FORM))


def unpickle(body: bytes) -> None:
    """Read by running what the file says."""
    TrustingUnpickler(io.BytesIO(body)).load()


def read(body: bytes) -> None:
    """Read by the bounded reader."""
    read_snapshot(body)


def imported(body: bytes) -> None:
    """Read, check, convert and write, as the task does."""
    file = ref_of(body, "application/octet-stream")
    import_generator(MemoryContext(files=[body]), ImportGenerator(file=file, licence="CC0"))


def workload(path: Path, work: Callable[[bytes], None]) -> Workload:
    """``work`` on the file; the result is the memory that it added, MB."""
    torch.set_num_threads(1)
    body = path.read_bytes()
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far counts no more

    def run() -> np.ndarray:
        work(body)
        return np.array([memory("VmHWM") - before])

    return run


def memory(name: str) -> float:
    """A line of what Linux says of this process, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return float(line.split()[1]) * 1024 / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    works = {PLAIN: unpickle, "ReplicaLab, read": read, "ReplicaLab, imported": imported}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "edm.pkl"
        write_snapshot(path)
        print(f"{machine()}, {path.stat().st_size / 1e6:.0f} MB\n")
        contestants = {
            name: Contestant(partial(workload, path, work)) for name, work in works.items()
        }
        timings = take_turns(contestants, rounds)
    plain = timings[PLAIN].seconds
    rows = [
        (
            name,
            f"{timing.median:.3f}",
            timing.spread,
            str(rounds),
            f"{ratio(plain, timing.seconds):.2f}",
            f"{contestants[name].result[0]:.0f}",
        )
        for name, timing in timings.items()
    ]
    for contestant in contestants.values():
        contestant.stop()
    print_table(("what", "median s", "spread s", "n", "ratio", "memory added, MB"), rows)


if __name__ == "__main__":
    main()
