"""Distances to the mean of a set, and to the means of its classes, in float64."""

import numpy as np
from jaxtyping import Float, Float64, Int

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite
from replicalab_metrics.measures.tiles import row_blocks


def distances_to(
    features: Float[np.ndarray, "sample dim"], centre: Float64[np.ndarray, " dim"]
) -> Float64[np.ndarray, " sample"]:
    """Distance of every sample to ``centre``, in feature units."""
    return distances_to_own(features, np.zeros(len(features), dtype=np.int64), centre[None])


def distances_to_own(
    features: Float[np.ndarray, "sample dim"],
    labels: Int[np.ndarray, " sample"],
    centroids: Float64[np.ndarray, "class_ dim"],
) -> Float64[np.ndarray, " sample"]:
    """Distance of every sample to the centroid of its class, in feature units.

    Raises:
        UnmeasurableInput: Features not finite, or a class without a centroid.
    """
    check_finite(features, "features")
    known = np.isfinite(centroids).all(axis=1)
    if labels.size and (labels.max() >= len(known) or not known[labels].all()):
        unknown = sorted({int(c) for c in labels if c >= len(known) or not known[c]})
        raise UnmeasurableInput(f"The reference set has no images of classes {unknown}.")
    distances = np.empty(len(features))
    for rows in row_blocks(len(features)):
        gaps = features[rows] - centroids[labels[rows]]
        distances[rows] = np.sqrt(np.einsum("ij,ij->i", gaps, gaps))
    return distances


def class_centroids(
    features: Float[np.ndarray, "sample dim"], labels: Int[np.ndarray, " sample"]
) -> Float64[np.ndarray, "class_ dim"]:
    """Mean of every class, 0 to the largest label; not a number for a class without samples.

    Raises:
        UnmeasurableInput: No samples, or features not finite.
    """
    if not len(features):
        raise UnmeasurableInput("The set holds no samples.")
    check_finite(features, "features")
    classes = int(labels.max()) + 1
    centroids = np.full((classes, features.shape[1]), np.nan)
    for class_ in np.unique(labels):
        centroids[class_] = features[labels == class_].mean(axis=0, dtype=np.float64)
    return centroids
