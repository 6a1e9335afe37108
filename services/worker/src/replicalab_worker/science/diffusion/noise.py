"""Noise that belongs to an image: a function of (seed, split, image index, draw), nothing else.

An image meets the same noise in any shard, batch or order and on any machine, and at every
``t_re``. Philox, a counter-based generator (Salmon et al., 2011), gives each (image, draw) its own
range of counters under the seed's key, so no two of them share a number.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

Noise = Float64[np.ndarray, "batch channel height width"]

DIFFUSION_DRAW = 0
"""The draw that diffuses the real image."""

FIRST_STEP_DRAW = 1
"""The draw of sampler step 0; step ``i`` uses draw ``i + 1``."""


def image_noise(
    seed: int,
    indices: Int64[np.ndarray, " batch"],
    image_shape: Sequence[int],
    *,
    draw: int = DIFFUSION_DRAW,
    split: int = 0,
) -> Noise:
    """Standard normal noise, one array of ``image_shape`` per image.

    Args:
        seed: Key of the noise, at least 0.
        indices: Place of each image in its real set.
        image_shape: (channel, height, width).
        draw: Which of an image's draws: the diffusion, or a step of the sampler.
        split: Which real set the places are in; equal places of two sets have unlike noise.
    """
    bits = np.random.Philox(key=seed)
    normal = np.random.Generator(bits)
    state = bits.state  # rewinding one generator is seven times cheaper than making new ones
    noise = np.empty((len(indices), *image_shape), dtype=np.float64)
    for place, index in enumerate(indices.tolist()):
        state["state"]["counter"][:] = (0, draw, index, split)
        bits.state = state
        noise[place] = normal.standard_normal(image_shape)
    return noise
