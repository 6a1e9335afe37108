"""Whether generated samples are copies: authenticity, and the nearest real sample.

Authenticity is that of Alaa et al. (2022), arXiv:2102.08921, sec. 4.3: a generated sample is
authentic unless it is at least as near to its nearest real sample as that is to another real one.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from replicalab_metrics.measures.neighbours import nearest, squared_radii


@dataclass(frozen=True, slots=True)
class NearestReal:
    """What is nearest to every generated sample.

    Attributes:
        indices: Position of the nearest real sample in its set; the first of equals.
        squared: Its squared distance.
        is_authentic: Whether it is further than that real sample is from another.
    """

    indices: Int[np.ndarray, " fake"]
    squared: Float64[np.ndarray, " fake"]
    is_authentic: Bool[np.ndarray, " fake"]


def nearest_real(
    real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"]
) -> NearestReal:
    """The nearest real sample of every generated one.

    Raises:
        UnmeasurableInput: Fewer than two real samples, no generated ones, or features not finite.
    """
    found = nearest(fake, real)
    indices, squared = found.indices[:, 0], found.squared[:, 0]
    return NearestReal(indices, squared, squared > squared_radii(real, 1)[indices])
