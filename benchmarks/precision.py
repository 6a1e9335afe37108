"""Whether computing with fewer digits moves the Frechet distance of a study beyond its interval.

    OMP_NUM_THREADS=1 python benchmarks/precision.py

``edm-digits`` reconstructs the whole training split in float32, in bfloat16, on a GPU in float16
too, and in float32 from other noise, which is the yardstick: what another seed changes, nobody
should read anything into. A processor without arithmetic for bfloat16 emulates it here: slower,
but rounded alike.
"""

from unittest import mock

import torch
from digits_judge import STEPS, STUDY, DigitsJudge, shipped_generator
from rounds import machine, print_table

from replicalab.domain.measures import Measurement
from replicalab.domain.precisions import Precision
from replicalab_worker.runtime import device
from replicalab_worker.runtime.device import best_device, prepare_process

LEVELS = (3, 9, STEPS)
OTHER_SEEDS = (STUDY.noise_seed + 1, STUDY.noise_seed + 2)

Row = tuple[str, ...]


def compared(judge: DigitsJudge, t_re: int, precisions: tuple[Precision, ...]) -> Row:
    """One noise level's row."""
    generator = shipped_generator()
    exact = judge.distance(generator, t_re=t_re)
    rounded = [
        value_of(judge.distance(generator, t_re=t_re, precision=name)) for name in precisions
    ]
    others = [
        value_of(judge.distance(generator, t_re=t_re, noise_seed=seed)) for seed in OTHER_SEEDS
    ]
    assert exact.interval is not None
    low, high = exact.interval.low, exact.interval.high
    return (
        str(t_re),
        str(exact.n),
        f"{value_of(exact):.4f}",
        f"{low:.4f} to {high:.4f}",
        *(f"{value:.4f}" for value in rounded),
        ", ".join(f"{value:.4f}" for value in others),
        "within" if all(low <= value <= high for value in rounded) else "beyond",
    )


def value_of(measured: Measurement) -> float:
    """What was measured, which is there for sets as these."""
    assert measured.value is not None
    return measured.value


def main() -> None:
    """Print the table."""
    prepare_process()
    place = best_device()
    print(f"{machine()}\n")
    precisions: tuple[Precision, ...] = ("bfloat16",)
    if place.type == "cuda":
        print(torch.cuda.get_device_name())
        precisions = ("bfloat16", "float16")
    judge = DigitsJudge(place)
    header = (
        *("t_re", "n", "float32", "95 % interval"),
        *precisions,
        *("float32, other noise", "verdict"),
    )
    with mock.patch.object(device, "computes_in_bfloat16", return_value=True):
        print_table(header, [compared(judge, t_re, precisions) for t_re in LEVELS])


if __name__ == "__main__":
    main()
