"""Principal components of a reference set, and other sets on them."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float, Float64

from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.moments import Moments


@dataclass(frozen=True, slots=True)
class PrincipalComponents:
    """Axes of greatest variance of the set they were fitted on.

    The sign of an axis is free; here its largest loading by magnitude is positive (the first such
    where several tie), so that equal features give equal pictures.

    Attributes:
        mean: Mean of the fit set, the origin of the coordinates.
        axes: Orthonormal rows, by falling variance.
        explained_shares: Share of the fit set's total variance along each axis.
    """

    mean: Float64[np.ndarray, " dim"]
    axes: Float64[np.ndarray, "component dim"]
    explained_shares: Float64[np.ndarray, " component"]

    @classmethod
    def fit(
        cls, features: Float[np.ndarray, "sample dim"], components: int
    ) -> "PrincipalComponents":
        """Fit on ``features``; raises ``UnmeasurableInput`` where it has too few directions."""
        n, dimension = features.shape
        moments = Moments.of(features)
        total = float(np.trace(moments.scatter))
        if total <= 0:
            raise UnmeasurableInput("Every sample of the set has the same features.")
        if not 1 <= components <= min(dimension, n - 1):
            raise UnmeasurableInput(
                f"{n} samples of {dimension} features have no {components} components."
            )
        eigenvalues, vectors = scipy.linalg.eigh(
            moments.scatter, subset_by_index=(dimension - components, dimension - 1)
        )
        axes = vectors.T[::-1]
        largest = np.abs(axes).argmax(axis=1)
        signs = np.sign(axes[np.arange(components), largest])
        shares = eigenvalues[::-1].clip(min=0) / total
        return cls(moments.mean, axes * signs[:, None], shares)

    def project(
        self, features: Float[np.ndarray, "sample dim"]
    ) -> Float64[np.ndarray, "sample component"]:
        """Coordinates of ``features`` on the axes, from the mean of the fit set."""
        coordinates: Float64[np.ndarray, "sample component"] = (
            features.astype(np.float64) - self.mean
        ) @ self.axes.T
        return coordinates
