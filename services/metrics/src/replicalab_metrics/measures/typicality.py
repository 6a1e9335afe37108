"""How typical real samples are of their class, and its tenths from the core to the rim.

Any distance orders samples: that to the centroid of the class, or that to the k-th neighbour,
which is large where the set is thin. Ranks are within a class, so that a tenth holds a tenth of
every class and a wide class does not fill the rim.
"""

import numpy as np
import scipy  # loads stats, half of all that this service imports, when it is first used
from jaxtyping import Float, Float64, Int

from replicalab_metrics.measures.centroids import class_centroids, distances_to_own
from replicalab_metrics.measures.inputs import UnmeasurableInput

TENTHS = 10


def distances_to_centroids(
    features: Float[np.ndarray, "sample dim"], labels: Int[np.ndarray, " sample"]
) -> Float64[np.ndarray, " sample"]:
    """Distance of every sample to the centroid of its class in the set itself."""
    return distances_to_own(features, labels, class_centroids(features, labels))


def tenths(
    distances: Float64[np.ndarray, " sample"], labels: Int[np.ndarray, " sample"]
) -> Int[np.ndarray, " sample"]:
    """Tenth of its class that a sample belongs to: 0, the core, to 9, the rim.

    Equal distances share a rank, so that the order of the samples does not matter.

    Raises:
        UnmeasurableInput: No samples, or distances that are not finite.
    """
    if not len(distances) or not np.isfinite(distances).all():
        raise UnmeasurableInput("Samples are ordered by finite distances, and there must be some.")
    found = np.empty(len(distances), dtype=np.int64)
    for class_ in np.unique(labels):
        is_class = labels == class_
        ranks = scipy.stats.rankdata(distances[is_class])
        found[is_class] = (ranks - 0.5) / len(ranks) * TENTHS
    return found
