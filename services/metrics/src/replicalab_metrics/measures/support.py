"""alpha-precision and beta-recall, Alaa et al. (2022), arXiv:2102.08921, secs. 3 and 4.

Typical samples come first: the alpha-support of a set is the ball around its mean that holds a
share alpha of it. Both scores compare a curve over alpha with the diagonal, 1 - 2 times the area
between them: 1 where the curves agree for every alpha, whether a set is too narrow or too wide.
The authors' code measures in an embedding it trains for the purpose; here features are taken as
they are, as in its release without that embedding, and the area is exact instead of a sum over 30
values of alpha.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from replicalab_metrics.measures.centroids import distances_to
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.neighbours import nearest, squared_radii


@dataclass(frozen=True, slots=True)
class Supports:
    """What both scores are made of.

    Attributes:
        real_to_real_centre: Distance of every real sample to the mean of the real set.
        fake_to_real_centre: The same for generated samples.
        fake_to_fake_centre: Distance of every generated sample to the mean of their set.
        reached: Distance to that mean of the generated sample nearest to a real one; infinite
            where another real sample is nearer.
    """

    real_to_real_centre: Float64[np.ndarray, " real"]
    fake_to_real_centre: Float64[np.ndarray, " fake"]
    fake_to_fake_centre: Float64[np.ndarray, " fake"]
    reached: Float64[np.ndarray, " real"]

    @property
    def alpha_precision(self) -> float:
        """Whether as many generated as real samples are as typical, 0 to 1."""
        return agreement(self.real_to_real_centre, self.fake_to_real_centre)

    @property
    def beta_recall(self) -> float:
        """Whether real samples are reached by as typical generated ones, 0 to 1."""
        return agreement(self.fake_to_fake_centre, self.reached)


def supports(real: Float[np.ndarray, "real dim"], fake: Float[np.ndarray, "fake dim"]) -> Supports:
    """Supports of both sets.

    Raises:
        UnmeasurableInput: Fewer than two real samples, no generated ones, or features not finite.
    """
    if not len(fake):
        raise UnmeasurableInput("The set holds no samples.")
    nearest_fake = nearest(real, fake)
    is_reached = nearest_fake.squared[:, 0] <= squared_radii(real, 1)
    real_centre = real.mean(axis=0, dtype=np.float64)
    fake_centre = fake.mean(axis=0, dtype=np.float64)
    fake_to_fake_centre = distances_to(fake, fake_centre)
    return Supports(
        distances_to(real, real_centre),
        distances_to(fake, real_centre),
        fake_to_fake_centre,
        np.where(is_reached, fake_to_fake_centre[nearest_fake.indices[:, 0]], np.inf),
    )


def agreement(own: Float64[np.ndarray, " own"], others: Float64[np.ndarray, " other"]) -> float:
    """1 - 2 times the area between the diagonal and the share of ``others`` within a quantile.

    The ball of a share alpha reaches to the ceil(alpha n)-th nearest of ``own``, so the curve is a
    staircase and its area a sum.
    """
    if not (len(own) and len(others)):
        raise UnmeasurableInput("The set holds no samples.")
    shares = np.searchsorted(np.sort(others), np.sort(own), side="right") / len(others)
    steps = np.arange(len(own) + 1) / len(own)
    over, under = shares - steps[:-1], shares - steps[1:]
    area = np.sum(over * np.abs(over) - under * np.abs(under)) / 2
    return float(1 - 2 * area)
