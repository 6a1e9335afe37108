"""DPM-Solver++(2M): Lu et al. (2022), arXiv:2211.01095, algorithm 2, for EDM's noise levels."""

import math
from collections.abc import Iterator, Sequence

from replicalab_worker.science.diffusion.samplers import Denoiser, Images, Step


def dpm_solver(
    denoise: Denoiser, noisy: Images, levels: Sequence[float], *, start: int = 0
) -> Iterator[Step]:
    """Second-order multistep in data prediction: one denoiser call a step.

    With alpha = 1 and lambda = -ln sigma, the exact solution between two levels is
    ``x' = (sigma' / sigma) x + (1 - sigma' / sigma) D`` for a constant denoised image D; the last
    two are extrapolated to first order in lambda. The first step has only one and is first order;
    the step to 0 ends, as its limit, at the denoised image itself.

    Args:
        denoise: The denoiser.
        noisy: Images that carry noise of std ``levels[start]``, float64.
        levels: The N + 1 noise levels, strictly decreasing; the last is 0.
        start: Index of the level to begin at, 0 to N - 1.
    """
    images = noisy
    before: tuple[Images, float] | None = None
    for index in range(start, len(levels) - 1):
        sigma, lower = levels[index], levels[index + 1]
        denoised = denoise(images, sigma)
        if lower == 0:
            images = denoised
        else:
            step = math.log(sigma / lower)
            target = denoised
            if before is not None:
                last_denoised, last_step = before
                target = denoised + step / (2 * last_step) * (denoised - last_denoised)
            images = lower / sigma * images + (1 - lower / sigma) * target
            before = denoised, step
        yield Step(index, lower, images)
