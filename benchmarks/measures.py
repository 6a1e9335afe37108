"""How fast the measures of the metrics service are, beside the packages that people use.

``python benchmarks/measures.py``; ``--help`` lists what can be chosen. Peers are used where they
are installed: torch-fidelity and prdc are among the development packages, pytorch-fid is not.
"""

import argparse
import contextlib
import importlib.util
import io
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rounds import Contestant, Timing, Workload, machine, print_table, ratio, take_turns

from replicalab_metrics.measures.frechet import frechet_distance
from replicalab_metrics.measures.kernel_distance import subset_kernel_distances
from replicalab_metrics.measures.precision_recall import manifold_membership

Features = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Run = Callable[[Features, Features], list[float]]

NEIGHBOURS = 3
SUBSETS, SUBSET_SIZE, SUBSET_SEED = 100, 1000, 2020
GROWTH = (2_000, 5_000, 10_000, 20_000, 50_000)
MEBIBYTE = 2**20

Row = tuple[str, ...]
HEADER = (
    "what",
    "median s",
    "spread s",
    "n",
    "ratio",
    "processor ratio",
    "goal",
    "memory MiB",
    "of theirs",
)


def our_frechet(real: Features, fake: Features) -> list[float]:
    return [frechet_distance(real, fake)]


def fidelity_frechet(real: Features, fake: Features) -> list[float]:
    import torch
    from torch_fidelity import metric_fid

    moments = [metric_fid.fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake)]
    return list(metric_fid.fid_statistics_to_metric(*moments, verbose=False).values())


def pytorch_fid_frechet(real: Features, fake: Features) -> list[float]:
    from pytorch_fid.fid_score import calculate_frechet_distance

    moments = [(x.mean(axis=0, dtype=np.float64), np.cov(x, rowvar=False)) for x in (real, fake)]
    return [float(calculate_frechet_distance(*moments[0], *moments[1]))]


def our_manifolds(real: Features, fake: Features) -> list[float]:
    found = manifold_membership(real, fake, NEIGHBOURS)
    return [found.precision, found.recall, found.density, found.coverage]


def fidelity_manifolds(real: Features, fake: Features) -> list[float]:
    import torch
    from torch_fidelity.metric_prc import prc_features_to_metric

    sets = [torch.from_numpy(x) for x in (fake, real)]
    found = prc_features_to_metric(*sets, prc_neighborhood=NEIGHBOURS, verbose=False)
    return [found["precision"], found["recall"]]


def prdc_manifolds(real: Features, fake: Features) -> list[float]:
    from joblib import parallel_config
    from prdc import compute_prdc

    # It asks for eight workers; in a child process only threads may be had.
    with contextlib.redirect_stdout(io.StringIO()), parallel_config(backend="threading"):
        found = compute_prdc(real, fake, NEIGHBOURS)
    return [float(found[name]) for name in ("precision", "recall", "density", "coverage")]


def our_kernel(real: Features, fake: Features) -> list[float]:
    size = min(SUBSET_SIZE, len(real))
    found = subset_kernel_distances(real, fake, subsets=SUBSETS, size=size, seed=SUBSET_SEED)
    return [float(found.mean())]


def fidelity_kernel(real: Features, fake: Features) -> list[float]:
    import torch
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = kid_features_to_metric(
        torch.from_numpy(real),
        torch.from_numpy(fake),
        kid_subsets=SUBSETS,
        kid_subset_size=min(SUBSET_SIZE, len(real)),
        rng_seed=SUBSET_SEED,
        verbose=False,
    )
    return [found["kernel_inception_distance_mean"]]


OURS = "replicalab"
SECTIONS: Mapping[str, Mapping[str, tuple[Run, str, float]]] = {
    "frechet": {
        OURS: (our_frechet, "replicalab_metrics", 0),
        "torch-fidelity": (fidelity_frechet, "torch_fidelity", 3.0),
        "pytorch-fid": (pytorch_fid_frechet, "pytorch_fid", 12.0),
    },
    "manifolds": {
        OURS: (our_manifolds, "replicalab_metrics", 0),
        "torch-fidelity (P, R)": (fidelity_manifolds, "torch_fidelity", 3.0),
        "prdc": (prdc_manifolds, "prdc", 4.5),
    },
    "kernel": {
        OURS: (our_kernel, "replicalab_metrics", 0),
        "torch-fidelity": (fidelity_kernel, "torch_fidelity", 1.8),
    },
}
"""Of every section: who runs what, the package it needs, how many times faster we want to be."""

GROWING: Mapping[str, Run] = {
    "frechet": our_frechet,
    "manifolds": our_manifolds,
    "kernel, 100 subsets": our_kernel,
}


def code_words(folder: Path, name: str, seed: int, n: int, dimension: int) -> None:
    """Rectified, correlated features in a file, made in pieces so as to need little memory."""
    directions = np.random.default_rng(999).standard_normal((8, dimension), dtype=np.float32)
    decay = (1 / np.sqrt(1 + np.arange(dimension) / 64)).astype(np.float32)
    draws = np.random.default_rng(seed)
    stored = np.lib.format.open_memmap(
        folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=(n, dimension)
    )
    for first in range(0, n, 1000):
        rows = min(1000, n - first)
        noise = draws.standard_normal((rows, dimension), dtype=np.float32) * decay
        noise += 0.3 * draws.standard_normal((rows, 8), dtype=np.float32) @ directions
        stored[first : first + rows] = np.maximum(noise + np.float32(0.05 * (seed - 1)), 0) / 2
    stored.flush()


def build(folder: Path, run: Run) -> Workload:
    """A contestant: seconds, processor seconds, memory beyond the features (MiB), then values."""
    real, fake = np.load(folder / "real.npy"), np.load(folder / "fake.npy")

    def workload() -> npt.NDArray[np.float64]:
        before = _resident()
        begin, begin_processor = time.perf_counter(), time.process_time()
        values = run(real, fake)
        spent = time.perf_counter() - begin, time.process_time() - begin_processor
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEBIBYTE
        return np.array([*spent, peak - before, peak, *values])

    return workload


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


def installed(section: str) -> Mapping[str, Run]:
    """Who takes part in a section: ours first, then every peer whose package is there."""
    runs: dict[str, Run] = {}
    for name, (run, package, _) in SECTIONS[section].items():
        if importlib.util.find_spec(package) is None:
            print(f"{section}: {name} is left out: {package} is not installed")
            continue
        runs[name] = run
    return runs


def compare(section: str, folder: Path, rounds: int) -> Iterator[Row]:
    """Rows of a section: ours first, then every peer that is installed."""
    contestants = {
        name: Contestant(build, folder=folder, run=run) for name, run in installed(section).items()
    }
    timings = take_turns(contestants, rounds)
    for name, contestant in contestants.items():
        values = " ".join(f"{value:.10g}" for value in contestant.result[4:])
        print(f"{section}: {name}: {values}")
        contestant.stop()
    memories = {name: contestant.result[2] for name, contestant in contestants.items()}
    for name, timing in timings.items():
        goal = SECTIONS[section][name][2]
        yield _row(section, name, timing, timings[OURS], goal, memories)


def _row(
    section: str,
    name: str,
    timing: Timing,
    ours: Timing,
    goal: float,
    memories: Mapping[str, float],
) -> Row:
    is_peer = name != OURS
    return (
        f"{section}: {name}",
        f"{timing.median:.3g}",
        timing.spread,
        str(len(timing.seconds)),
        f"{ratio(timing.seconds, ours.seconds):.2f}" if is_peer else "",
        f"{ratio(timing.processor_seconds, ours.processor_seconds):.2f}" if is_peer else "",
        f"{goal:g}" if is_peer else "",
        f"{memories[name]:.0f}",
        f"{memories[OURS] / memories[name]:.2f}" if is_peer else "",
    )


def grow(dimension: int, largest: int) -> Iterator[Row]:
    """Time and memory of ours by the number of images; one run each, its imports included."""
    for n in (size for size in GROWTH if size <= largest):
        with features(n, dimension) as folder:
            for name, run in GROWING.items():
                contestant = Contestant(build, folder=folder, run=run)
                seconds, processor, _, peak, *_ = contestant.result
                contestant.stop()
                yield name, f"{n:,}", f"{seconds:.3g}", f"{processor:.3g}", f"{peak:.0f}"


@contextlib.contextmanager
def features(n: int, dimension: int) -> Iterator[Path]:
    """A folder with both sets, gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        code_words(folder, "real", 1, n, dimension)
        code_words(folder, "fake", 2, n, dimension)
        yield folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds of each section")
    parser.add_argument("--only", choices=[*SECTIONS, "growth"], action="append")
    parser.add_argument("--images", type=int, default=10_000, help="of each set")
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--largest", type=int, default=GROWTH[-1], help="images to grow to")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(arguments.threads)  # for the contestants' processes
    print(f"{machine()}\n{arguments.images:,} images a set, dimension {arguments.dimension}\n")
    chosen = arguments.only or [*SECTIONS, "growth"]
    rows: list[Row] = []
    with features(arguments.images, arguments.dimension) as folder:
        for section in (name for name in chosen if name in SECTIONS):
            rows.extend(compare(section, folder, arguments.rounds))
    if rows:
        print()
        print_table(HEADER, rows)
    if "growth" in chosen:
        print()
        header = ("what", "images", "seconds", "processor s", "peak MiB of the process")
        print_table(header, list(grow(arguments.dimension, arguments.largest)))


if __name__ == "__main__":
    main()
