"""Which source images are learnt from and which are tested, with whatever was made of them."""

import numpy as np
from jaxtyping import Bool, Int64

STREAM = 0x5EED
"""Makes the draw unlike whatever else began with the same seed, such as the images themselves."""


def held_out_sources(
    classes: Int64[np.ndarray, " source"], share: float, seed: int
) -> Bool[np.ndarray, " source"]:
    """Draw sources to test on, in equal shares of every class.

    Args:
        classes: Class of every source; each class has at least two.
        share: Of every class that is held out, rounded: at least one source, and never all.
        seed: Of the draw.

    Returns:
        Whether each source is held out.
    """
    rng = np.random.default_rng([STREAM, seed])
    drawn = np.lexsort((rng.random(len(classes)), classes))
    _, firsts, sizes = np.unique(classes[drawn], return_index=True, return_counts=True)
    tested = np.clip(np.rint(share * sizes), 1, sizes - 1)
    places = np.arange(len(classes)) - np.repeat(firsts, sizes)
    is_held_out = np.empty(len(classes), dtype=np.bool_)
    is_held_out[drawn] = places < np.repeat(tested, sizes)
    return is_held_out
