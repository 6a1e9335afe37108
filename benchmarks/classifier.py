"""How fast classifiers train, against a plain PyTorch loop, and whether they end as good.

Speed: ResNet-18 at full width on generated images of 32 x 32 in ten classes, batch 128, random
crops and flips. Each round runs every contestant once, each in a process of its own, so that
allocator and threads are as each finds them. Accuracy: the digits, trained by both.

    python benchmarks/classifier.py [--rounds 3] [--images 1280] [--seeds 4]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from plain_classifier import train_plainly
from rounds import machine

from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.precisions import Precision
from replicalab_worker.pipelines.classifiers import build_classifier, recipe_of
from replicalab_worker.pipelines.datasets import digits
from replicalab_worker.runtime.device import prepare_process
from replicalab_worker.science.classifier.inference import classify
from replicalab_worker.science.classifier.networks import Classifier, initialise
from replicalab_worker.science.classifier.training import train
from replicalab_worker.science.pixels import to_levels

CPU = torch.device("cpu")
CLASSES = 10
BATCH = 128
WARM_UP_STEPS = 2
SPEED = CifarResNet18(batch_size=BATCH, shift_pixels=4, flip=True)
QUALITY = CifarResNet18(width=8, epochs=8, batch_size=64, learning_rate=0.1, shift_pixels=1)
CONTESTANTS: dict[str, Precision | None] = {
    "plain": None,
    "float32": "float32",
    "bfloat16": "bfloat16",
}


def generated_images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise around a colour a class: their content does not matter to speed."""
    draws = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % CLASSES
    colours = draws.uniform(60, 195, (CLASSES, 1, 1, 3))
    noisy = colours[labels] + draws.normal(0, 30, (count, 32, 32, 3))
    return noisy.clip(0, 255).astype(np.uint8), labels


def steps_of(
    contestant: str, spec: CifarResNet18, network: Classifier, data: tuple, seed: int
) -> Iterator[float]:
    """Times after every training step, seconds; trains ``network`` on the way."""
    images, labels = data
    precision = CONTESTANTS[contestant]
    if precision is None:
        torch.manual_seed(seed)
        yield from train_plainly(
            network,
            images,
            labels,
            epochs=spec.epochs,
            batch_size=spec.batch_size,
            learning_rate=spec.learning_rate,
            padding=spec.shift_pixels,
            flip=spec.flip,
        )
        return
    network.to(memory_format=torch.channels_last)
    recipe = recipe_of(spec.model_copy(update={"precision": precision}), CPU)
    generator = torch.Generator().manual_seed(seed)
    levels, targets = to_levels(images), torch.from_numpy(labels)
    for _ in train(network, levels, targets, recipe, generator):
        yield time.perf_counter()


def speed_of(contestant: str, images: int) -> float:
    """Images per second after the first steps, in this process."""
    if CONTESTANTS[contestant] is not None:
        prepare_process()
    data = generated_images(BATCH * (WARM_UP_STEPS + 1) + images)
    spec = SPEED.model_copy(update={"epochs": 1})
    network = build_classifier(spec, channels=3, classes=CLASSES)
    initialise(network, torch.Generator().manual_seed(0))
    times = list(steps_of(contestant, spec, network, data, seed=0))[WARM_UP_STEPS:]
    return BATCH * (len(times) - 1) / (times[-1] - times[0])


def accuracies_of(contestant: str, seeds: int) -> list[float]:
    """Share of the digits' test set classified rightly, a seed each."""
    train_set, test = digits(DigitsDataset())
    found = []
    for seed in range(seeds):
        network = build_classifier(QUALITY, channels=1, classes=CLASSES)
        initialise(network, torch.Generator().manual_seed(seed))
        for _ in steps_of(contestant, QUALITY, network, (train_set.images, train_set.labels), seed):
            pass
        (output,) = classify(network, to_levels(test.images), len(test))
        answers = output.logits.argmax(dim=1).numpy()
        found.append(float((answers == test.labels).mean()))
    return found


def in_a_process(contestant: str, what: str, amount: int, environment: Mapping[str, str]) -> Any:
    """What a fresh process says."""
    command = [sys.executable, __file__, "--contestant", contestant, f"--{what}", str(amount)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(run.stdout)


def spread(values: list[float], digits: int) -> str:
    """Median and range."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def compare(rounds: int, images: int, seeds: int) -> None:
    """Print both tables."""
    print(machine())
    print(f"{os.cpu_count()} processors, {rounds} alternating rounds of {images} images each")
    speeds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name in CONTESTANTS:
            speeds[name].append(in_a_process(name, "images", images, os.environ))
    print("\nResNet-18, 32 px, batch 128: images/s and ratio to plain (median, range)")
    for name, values in speeds.items():
        ratios = [value / plain for value, plain in zip(values, speeds["plain"], strict=True)]
        print(f"  {name:9s} {spread(values, 1)}   ratio {spread(ratios, 2)}")
    print(f"\ndigits, small ResNet-18: test accuracy in % over {seeds} seeds (mean +- sd)")
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name in CONTESTANTS:
        found = [100 * share for share in in_a_process(name, "seeds", seeds, one_thread)]
        deviation = statistics.stdev(found) if len(found) > 1 else 0.0
        print(f"  {name:9s} {statistics.mean(found):.2f} +- {deviation:.2f}")


def main() -> None:
    """Compare, or run one contestant for the process that compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=None)
    parser.add_argument("--seeds", type=int, default=None)
    parser.add_argument("--contestant", choices=CONTESTANTS)
    options = parser.parse_args()
    if options.contestant is None:
        compare(options.rounds, options.images or 1280, options.seeds or 4)
    elif options.images is not None:
        print(json.dumps(speed_of(options.contestant, options.images)))
    else:
        print(json.dumps(accuracies_of(options.contestant, options.seeds)))


if __name__ == "__main__":
    main()
