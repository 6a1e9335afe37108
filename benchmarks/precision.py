"""Whether computing in bfloat16 moves the Frechet distance of a study beyond its interval.

    OMP_NUM_THREADS=1 python benchmarks/precision.py

``edm-digits`` reconstructs the whole training split in float32, in bfloat16, and in float32 from
other noise, which is the yardstick: what another seed changes, nobody should read anything into.
A processor without arithmetic for bfloat16 emulates it here: slower, but rounded alike.
"""

from unittest import mock

from digits_judge import STEPS, STUDY, DigitsJudge, shipped_generator
from rounds import machine, print_table

from replicalab_worker.runtime import device
from replicalab_worker.runtime.device import prepare_process

LEVELS = (3, 9, STEPS)
OTHER_SEEDS = (STUDY.noise_seed + 1, STUDY.noise_seed + 2)
HEADER = ("t_re", "n", "float32", "95 % interval", "bfloat16", "float32, other noise", "verdict")

Row = tuple[str, ...]


def compared(judge: DigitsJudge, t_re: int) -> Row:
    """One noise level's row."""
    generator = shipped_generator()
    exact = judge.distance(generator, t_re=t_re)
    rounded = judge.distance(generator, t_re=t_re, precision="bfloat16").value
    others = [judge.distance(generator, t_re=t_re, noise_seed=seed).value for seed in OTHER_SEEDS]
    assert exact.interval is not None
    assert exact.value is not None
    assert rounded is not None
    low, high = exact.interval.low, exact.interval.high
    return (
        str(t_re),
        str(exact.n),
        f"{exact.value:.4f}",
        f"{low:.4f} to {high:.4f}",
        f"{rounded:.4f}",
        ", ".join(f"{value:.4f}" for value in others),
        "within" if low <= rounded <= high else "beyond",
    )


def main() -> None:
    """Print the table."""
    prepare_process()
    judge = DigitsJudge()
    print(f"{machine()}\n")
    with mock.patch.object(device, "computes_in_bfloat16", return_value=True):
        print_table(HEADER, [compared(judge, t_re) for t_re in LEVELS])


if __name__ == "__main__":
    main()
