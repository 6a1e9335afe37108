"""How two sets overlap by their nearest-neighbour balls.

Improved precision and recall, Kynkaanniemi et al. (2019), arXiv:1904.06991, eqs. 1 and 2; density
and coverage, Naeem et al. (2020), arXiv:2002.09797, eqs. 4 and 5. Balls are closed, as in the
former; the latter's code leaves their edge out, which matters to exact ties only.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from replicalab_metrics.measures.balls import (
    BallCounts,
    count_memberships,
    count_mutual_memberships,
)
from replicalab_metrics.measures.neighbours import squared_radii


@dataclass(frozen=True, slots=True)
class FidelityToBalls:
    """Generated samples in balls around real ones, which reach to the ``k``-th neighbour.

    Attributes:
        counts: Of generated samples in real balls.
        k: Which neighbour sets the radius.
        squared_radii: Of real balls: large where the real set is thin.
    """

    counts: BallCounts
    k: int
    squared_radii: Float64[np.ndarray, " real"]

    @property
    def densities(self) -> Float64[np.ndarray, " fake"]:
        """Real balls that hold a sample over ``k``; 1 on average within the real set itself."""
        densities: Float64[np.ndarray, " fake"] = self.counts.balls / self.k
        return densities

    @property
    def is_covered(self) -> Bool[np.ndarray, " real"]:
        """Whether any generated sample lies in the ball around a real one."""
        return self.counts.samples > 0

    @property
    def density(self) -> float:
        """Mean density: 0 and up; beyond 1 where samples crowd where real ones do."""
        return float(self.densities.mean())

    @property
    def coverage(self) -> float:
        """Share of real balls that hold a generated sample."""
        return float(self.is_covered.mean())


@dataclass(frozen=True, slots=True)
class ManifoldMembership(FidelityToBalls):
    """Which samples lie on the other set's manifold: the union of its k-nearest-neighbour balls.

    Attributes:
        fake_balls: How many generated balls hold each real sample.
    """

    fake_balls: Int[np.ndarray, " real"]

    @property
    def fake_in_real(self) -> Bool[np.ndarray, " fake"]:
        """Whether a generated sample is on the real manifold."""
        return self.counts.balls > 0

    @property
    def real_in_fake(self) -> Bool[np.ndarray, " real"]:
        """Whether a real sample is on the generated manifold."""
        return self.fake_balls > 0

    @property
    def precision(self) -> float:
        """Share of generated samples on the real manifold (fidelity)."""
        return float(self.fake_in_real.mean())

    @property
    def recall(self) -> float:
        """Share of real samples on the generated manifold (diversity)."""
        return float(self.real_in_fake.mean())


def manifold_membership(
    real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"], k: int
) -> ManifoldMembership:
    """Membership of both sets in each other's manifold: all four shares from one pass.

    Args:
        real: Features of real images.
        fake: Features of generated images.
        k: Which neighbour sets the radius of a ball; the papers use 3, and 5 for density.

    Raises:
        UnmeasurableInput: A set has no more than ``k`` samples, or is not finite.
    """
    radii = squared_radii(real, k)
    fake_in_real, real_in_fake = count_mutual_memberships(fake, real, squared_radii(fake, k), radii)
    return ManifoldMembership(fake_in_real, k, radii, real_in_fake.balls)


def fidelity_to_balls(
    real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"], k: int
) -> FidelityToBalls:
    """Density and coverage alone, which need no balls around generated samples.

    Raises:
        UnmeasurableInput: The real set has no more than ``k`` samples, or a set is not finite.
    """
    radii = squared_radii(real, k)
    return FidelityToBalls(count_memberships(fake, real, radii), k, radii)
