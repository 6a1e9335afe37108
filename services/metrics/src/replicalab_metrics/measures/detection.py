"""How well answers tell reconstructions from originals."""

import numpy as np
import scipy  # loads stats, half of all that this service imports, when it is first used
from jaxtyping import Bool, Float

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite


def area_under_curve(
    scores: Float[np.ndarray, " image"], is_fake: Bool[np.ndarray, " image"]
) -> float:
    """Area under the receiver operating characteristic, 0 to 1: 0.5 is chance.

    The probability that a reconstruction has a higher score than an original, ties counted half:
    Mann and Whitney's U over the number of pairs (Hanley & McNeil 1982).

    Args:
        scores: How much each image looks like a reconstruction, on any scale.
        is_fake: Which are reconstructions.

    Raises:
        UnmeasurableInput: Scores are not finite, or one of the two kinds is missing.
    """
    check_finite(scores, "scores")
    fakes = int(is_fake.sum())
    originals = len(is_fake) - fakes
    if not fakes or not originals:
        raise UnmeasurableInput("An area under the curve needs originals and reconstructions.")
    ranks = scipy.stats.rankdata(scores)
    above = ranks[is_fake].sum() - fakes * (fakes + 1) / 2
    return float(above / (fakes * originals))
