"""How far our values are from those of the packages that people compare with.

``python benchmarks/parity.py`` computes the Frechet distance, KID, precision, recall, density and
coverage of the same features with every package that is installed (``measures.py`` says how each
is asked) and prints the largest relative difference of each. Features are the float32 numbers that
networks give, handed over as float64: torch-fidelity computes in the precision of what it gets.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from measures import OURS, SECTIONS, Run, features, installed
from rounds import machine, print_table

Shape = tuple[int, int, int]
Precise = npt.NDArray[np.float64]

SHAPES: Sequence[Shape] = ((2_000, 1_500, 64), (1_000, 1_000, 2_048), (10_000, 10_000, 2_048))
"""Real images, generated ones, dimensions: usual, singular covariances, and the papers' size."""

HEADER = ("what", "real", "generated", "dimensions", "package", "largest relative difference")


def pair(shape: Shape) -> tuple[Precise, Precise]:
    """Both sets of features."""
    real, fake, dimension = shape
    with features(max(real, fake), dimension) as folder:
        sets = np.load(folder / "real.npy")[:real], np.load(folder / "fake.npy")[:fake]
    return sets[0].astype(np.float64), sets[1].astype(np.float64)


def differences(
    contestants: Mapping[str, Mapping[str, Run]], shape: Shape
) -> Iterator[tuple[str, ...]]:
    """A row for every value and every package that takes part."""
    sets = pair(shape)
    for section, runs in contestants.items():
        values = {name: np.array(run(*sets)) for name, run in runs.items()}
        ours = values.pop(OURS)
        for package, theirs in values.items():
            apart = np.abs(ours[: len(theirs)] / theirs - 1).max()
            yield section, *(f"{number:,}" for number in shape), package, f"{apart:.0e}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=10_000, help="images of a set at most")
    largest = parser.parse_args().largest
    print(f"{machine()}\n")
    shapes = [shape for shape in SHAPES if max(shape[:2]) <= largest]
    contestants = {section: installed(section) for section in SECTIONS}
    rows = [row for shape in shapes for row in differences(contestants, shape)]
    print()
    print_table(HEADER, rows)


if __name__ == "__main__":
    main()
