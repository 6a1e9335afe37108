"""Improved precision and recall, Kynkaanniemi et al. (2019), arXiv:1904.06991, eqs. 1 and 2."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from replicalab_metrics.measures.neighbours import is_in_any_ball, squared_radii


@dataclass(frozen=True, slots=True)
class ManifoldMembership:
    """Which samples lie on the other set's manifold: the union of its k-nearest-neighbour balls.

    Attributes:
        fake_in_real: Share of it is the precision (fidelity).
        real_in_fake: Share of it is the recall (diversity).
    """

    fake_in_real: Bool[np.ndarray, " fake"]
    real_in_fake: Bool[np.ndarray, " real"]

    @property
    def precision(self) -> float:
        return float(self.fake_in_real.mean())

    @property
    def recall(self) -> float:
        return float(self.real_in_fake.mean())


def manifold_membership(
    real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"], k: int
) -> ManifoldMembership:
    """Membership of both sets in each other's manifold.

    Args:
        real: Features of real images.
        fake: Features of generated images.
        k: Which neighbour sets the radius of a ball; the paper uses 3.

    Raises:
        UnmeasurableInput: A set has no more than ``k`` samples, or is not finite.
    """
    return ManifoldMembership(
        fake_in_real=is_in_any_ball(fake, real, squared_radii(real, k)),
        real_in_fake=is_in_any_ball(real, fake, squared_radii(fake, k)),
    )
