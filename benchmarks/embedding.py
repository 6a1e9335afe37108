"""How fast features of the FID network come, against torch-fidelity's extractor.

Both have the same random weights and take the same images of 32 x 32 to 2,048 features, float32.
torch-fidelity runs as it comes; ours as a worker runs it: batch norms folded, channels last.

    python benchmarks/embedding.py [--rounds 5] [--images 32] [--threads 1]
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rounds import Contestant, Workload, machine, print_table, ratio, take_turns
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from replicalab_worker.runtime.device import prepare_process
from replicalab_worker.science.embedding.inception import FidInception

DIMENSION = 2048
PEER, OURS = "torch-fidelity", "ours"
GOAL = 1.8


def write_weights(path: Path) -> None:
    """Weights under which activations neither vanish nor explode, by the published names."""
    network = FidInception()
    generator = torch.Generator().manual_seed(0)
    weights = network.state_dict()
    for name, value in weights.items():
        if name.endswith("conv.weight"):
            deviation = (2 / value[0].numel()) ** 0.5
            value.copy_(torch.randn(value.shape, generator=generator) * deviation)
        elif name.endswith("running_var"):
            value.uniform_(0.7, 1.4, generator=generator)
        elif name.endswith(("bn.bias", "running_mean")):
            value.normal_(0, 0.1, generator=generator)
    torch.save(weights, path)


def images(count: int) -> Tensor:
    """Noise: content does not matter to speed."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)


def their_extraction(weights: str, count: int, threads: int) -> Workload:
    """torch-fidelity's network in a process as PyTorch leaves it."""
    torch.set_num_threads(threads)
    network = FeatureExtractorInceptionV3(PEER, [str(DIMENSION)], weights)
    batch = images(count)

    @torch.no_grad()
    def run() -> np.ndarray:
        return network(batch)[0].double().numpy()

    return run


def our_extraction(weights: str, count: int, threads: int) -> Workload:
    """The worker's network in a process as the worker sets it up."""
    prepare_process()
    torch.set_num_threads(threads)
    network = FidInception()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.accelerate()
    batch = images(count)

    @torch.no_grad()
    def run() -> np.ndarray:
        return network.features(batch, DIMENSION).double().numpy()

    return run


def print_speeds(rounds: int, count: int, threads: int) -> None:
    """Images a second of both, ratios within a round, and how far apart the features are."""
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.pth"
        write_weights(weights)
        ready = {
            name: Contestant(build, weights=str(weights), count=count, threads=threads)
            for name, build in ((PEER, their_extraction), (OURS, our_extraction))
        }
        timings = take_turns(ready, rounds)
    theirs, ours = (ready[name].result for name in (PEER, OURS))
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"threads {threads}: features differ by at most {error:.1e} of the largest\n")
    peer = timings[PEER]
    rows = [
        (
            name,
            f"{count / timing.median:.1f}",
            timing.spread,
            str(rounds),
            f"{ratio(peer.seconds, timing.seconds):.2f}",
            f"{ratio(peer.processor_seconds, timing.processor_seconds):.2f}",
            f"{GOAL:.2f}" if name == OURS else "",
        )
        for name, timing in timings.items()
    ]
    for contestant in ready.values():
        contestant.stop()
    header = ("extractor", "images/s", "spread s", "n", "ratio", "processor ratio", "goal")
    print_table(header, rows)


def main() -> None:
    """Print a table for every number of threads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=32, help="of a batch")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()})
    )
    options = parser.parse_args()
    print(f"{machine()}\n")
    for threads in options.threads:
        print_speeds(options.rounds, options.images, threads)
        print()


if __name__ == "__main__":
    main()
