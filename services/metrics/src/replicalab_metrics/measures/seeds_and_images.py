"""Means over training seeds and test images at once, both of them a sample.

Every model answers on the same images, so that values form a table of seeds (the readers of
multi-reader multi-case studies) by images (their cases), fully crossed: one value a cell. Another
draw of the seeds would have moved the mean, and so would another draw of the images. Tests over
seeds alone speak of these very images, tests over images alone of these very models.

The table is the two-way random model without replicates, value = mean + seed + image + rest, of
which for binary values no more is needed than that seeds are alike and images are alike (Gallas,
Pennello & Myers 2007, J. Opt. Soc. Am. A 24:B70-B80).
"""

from typing import NamedTuple

import numpy as np
import scipy.special
from jaxtyping import Float

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.intervals import LEVEL, Estimate

FEWEST_SEEDS = 3
"""Two seeds have one degree of freedom, and the test then errs up to twice as often as it says."""

FEWEST_IMAGES = 2

METHOD = "multi-reader multi-case analysis (seeds x images), Satterthwaite t"


class CrossedMean(NamedTuple):
    """A mean over seeds and images.

    Attributes:
        value: The mean.
        standard_error: Of the mean under another draw of seeds and of images.
        degrees_of_freedom: Of the t distribution that belongs to it.
        seeds: How many.
        images: How many.
    """

    value: float
    standard_error: float
    degrees_of_freedom: float
    seeds: int
    images: int

    @property
    def estimate(self) -> Estimate:
        """The mean with its t interval at ``LEVEL``."""
        quantile = float(scipy.special.stdtrit(self.degrees_of_freedom, (1 + LEVEL) / 2))
        margin = quantile * self.standard_error
        return Estimate(self.value, self.value - margin, self.value + margin)

    @property
    def p(self) -> float:
        """Two-sided, of the mean being zero; a mean without spread is certain unless it is zero."""
        if self.standard_error == 0:
            return float(self.value == 0)
        score = abs(self.value) / self.standard_error
        return float(2 * scipy.special.stdtr(self.degrees_of_freedom, -score))


def crossed_mean(values: Float[np.ndarray, "seed image"]) -> CrossedMean:
    """The mean of a table of seeds by images, with both counted as samples.

    With R seeds, K images and the mean squares S (of seeds), I (of images) and E (of the rest),
    whose expectations are e + K s, e + R i and e for the variances s, i, e of the effects,

        R K Var(mean) = e + K s + R i,  estimated by  V = max(S + I - E, S, I, E),
        df = V^2 / (S^2 / (R - 1) + (V - S)^2 / (K - 1)).

    S + I - E is unbiased (Gallas et al. 2007), and the variance that Obuchowski & Rockette (1995,
    Commun. Stat. Simul. 24:285-308) and Dorfman, Berbaum & Metz (1992) have for two treatments,
    here of their differences. None of S, I, E alone is expected to exceed what is estimated: to
    take the largest keeps few seeds that happen to agree from looking certain, and the interval
    from being narrower than one over images. The degrees of freedom are Hillis' (2007, Stat. Med.
    26:596-619); his leave out the last term, which tends to zero with many images.

    Where seeds do not differ this is the paired t-test over images, and where images do not, the
    one over seeds.

    Args:
        values: Of every model on every image, e.g. the difference of right (1) and wrong (0)
            answers of the two models of a seed.

    Raises:
        UnmeasurableInput: Fewer than three seeds or two images, or values that are not finite.
    """
    seeds, images = values.shape
    if seeds < FEWEST_SEEDS or images < FEWEST_IMAGES:
        raise UnmeasurableInput(
            f"A mean over seeds and images needs {FEWEST_SEEDS} seeds and {FEWEST_IMAGES} images, "
            f"not {seeds} and {images}."
        )
    check_finite(values, "values")
    mean = float(values.mean(dtype=np.float64))
    of_seeds, of_images, of_rest = _mean_squares(values.astype(np.float64) - mean)
    scaled = max(of_seeds + of_images - of_rest, of_seeds, of_images, of_rest)
    parts = of_seeds**2 / (seeds - 1) + (scaled - of_seeds) ** 2 / (images - 1)
    return CrossedMean(
        mean,
        float(np.sqrt(scaled / values.size)),
        scaled**2 / parts if parts else float(seeds - 1),
        seeds,
        images,
    )


def _mean_squares(deviations: Float[np.ndarray, "seed image"]) -> tuple[float, float, float]:
    """Of seeds, of images, and of what neither explains."""
    seeds, images = deviations.shape
    by_seed, by_image = deviations.mean(axis=1), deviations.mean(axis=0)
    rest = deviations - by_seed[:, None] - by_image
    return (
        images * float(np.square(by_seed).sum()) / (seeds - 1),
        seeds * float(np.square(by_image).sum()) / (images - 1),
        float(np.square(rest).sum()) / ((seeds - 1) * (images - 1)),
    )
