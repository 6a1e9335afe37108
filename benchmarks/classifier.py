"""How fast classifiers train, against a plain PyTorch loop, and whether they end as good.

Speed: ResNet-18 at full width on generated images of 32 x 32 in ten classes, batch 128, random
crops and flips, as many steps a round as asked for. Accuracy: the digits, trained by both.

    python benchmarks/classifier.py [--rounds 3] [--steps 10] [--seeds 4] [--threads 2]
"""

import argparse
import statistics
from collections.abc import Iterator

import numpy as np
import torch
from plain_classifier import train_plainly
from rounds import Contestant, Workload, machine, print_table, ratio, take_turns

from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.precisions import Precision
from replicalab_worker.pipelines.classifiers import build_classifier, recipe_of
from replicalab_worker.pipelines.datasets import digits
from replicalab_worker.runtime.device import computes_in_bfloat16, prepare_process
from replicalab_worker.science.classifier.inference import classify
from replicalab_worker.science.classifier.networks import Classifier, initialise
from replicalab_worker.science.classifier.training import train
from replicalab_worker.science.pixels import to_levels

CPU = torch.device("cpu")
CLASSES = 10
SPEED = CifarResNet18(epochs=1, batch_size=128, shift_pixels=4, flip=True)
QUALITY = CifarResNet18(width=8, epochs=8, batch_size=64, learning_rate=0.1, shift_pixels=1)
PLAIN = "plain"
GOALS = {"bfloat16": 2.4}

Data = tuple[np.ndarray, np.ndarray]
"""Images and labels."""


def contestants() -> dict[str, Precision | None]:
    """The plain loop, and ours in every precision that this processor computes in."""
    ours: dict[str, Precision | None] = {PLAIN: None, "float32": "float32"}
    if computes_in_bfloat16(CPU):
        return ours | {"bfloat16": "bfloat16"}
    print("This processor only emulates bfloat16: workers compute in float32 instead.")
    return ours


def generated_images(count: int) -> Data:
    """Noise around a colour a class: their content does not matter to speed."""
    draws = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % CLASSES
    colours = draws.uniform(60, 195, (CLASSES, 1, 1, 3))
    noisy = colours[labels] + draws.normal(0, 30, (count, 32, 32, 3))
    return noisy.clip(0, 255).astype(np.uint8), labels


def losses_of(
    precision: Precision | None, spec: CifarResNet18, network: Classifier, data: Data, seed: int
) -> Iterator[float]:
    """Train ``network``; the loss of every step, nats."""
    images, labels = data
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
    for step in train(network, levels, targets, recipe, generator):
        yield step.loss.item()


def training(precision: Precision | None, steps: int, threads: int) -> Workload:
    """An epoch of ``steps`` steps, in a process set up as its contestant finds it."""
    if precision is not None:
        prepare_process()
    torch.set_num_threads(threads)
    data = generated_images(SPEED.batch_size * steps)
    network = build_classifier(SPEED, channels=3, classes=CLASSES)
    initialise(network, torch.Generator().manual_seed(0))
    return lambda: np.array(list(losses_of(precision, SPEED, network, data, seed=0)))


def accuracies_of(precision: Precision | None, seeds: int) -> list[float]:
    """Share of the digits' test set classified rightly, %, a seed each."""
    train_set, test = digits(DigitsDataset())
    found = []
    for seed in range(seeds):
        network = build_classifier(QUALITY, channels=1, classes=CLASSES)
        initialise(network, torch.Generator().manual_seed(seed))
        list(losses_of(precision, QUALITY, network, (train_set.images, train_set.labels), seed))
        (output,) = classify(network, to_levels(test.images), len(test))
        answers = output.logits.argmax(dim=1).numpy()
        found.append(100 * float((answers == test.labels).mean()))
    return found


def print_speeds(rounds: int, steps: int, threads: int) -> None:
    """Images a second of every contestant, and ratios to the plain loop of the same round."""
    ready = {
        name: Contestant(training, precision=precision, steps=steps, threads=threads)
        for name, precision in contestants().items()
    }
    timings = take_turns(ready, rounds)
    plain = timings[PLAIN]
    rows = [
        (
            name,
            f"{SPEED.batch_size * steps / timing.median:.1f}",
            timing.spread,
            str(rounds),
            f"{ratio(plain.seconds, timing.seconds):.2f}",
            f"{ratio(plain.processor_seconds, timing.processor_seconds):.2f}",
            f"{GOALS[name]:.2f}" if name in GOALS else "",
        )
        for name, timing in timings.items()
    ]
    for contestant in ready.values():
        contestant.stop()
    header = ("training", "images/s", "spread s", "n", "ratio", "processor ratio", "goal")
    print_table(header, rows)


def print_accuracies(seeds: int) -> None:
    """Mean and standard deviation over ``seeds`` seeds."""
    torch.set_num_threads(1)
    rows = []
    for name, precision in contestants().items():
        found = accuracies_of(precision, seeds)
        rows.append((name, f"{statistics.mean(found):.2f}", f"{statistics.stdev(found):.2f}"))
    print_table((f"digits, {seeds} seeds", "accuracy %", "standard deviation"), rows)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=4, help="at least 2")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{machine()}\n")
    print_speeds(options.rounds, options.steps, options.threads)
    print()
    print_accuracies(options.seeds)


if __name__ == "__main__":
    main()
