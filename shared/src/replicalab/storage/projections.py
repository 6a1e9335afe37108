"""Image sets on principal components, the form in which projections reach reports and clients.

The npz holds ``explained_shares``, ``extractor_sha256``, ``t_re`` (int64), and for the real
training set ``train_coordinates`` and ``train_labels``, for every ``t_re`` ``coordinates_<t_re>``
and ``labels_<t_re>``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.errors import InvalidMeasureInput
from replicalab.storage.arrays import Array, pack, unpack


@dataclass(frozen=True, slots=True)
class ProjectedSet:
    """One image set on the components.

    Attributes:
        coordinates: float32, (image, component), from the mean of the real training set.
        labels: int64, (image,).
    """

    coordinates: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Projection:
    """Every set of a study on the principal components of the real training set.

    Attributes:
        real: The training set the components were fitted on.
        reconstructed: The sets by ``t_re``, rising.
        explained_shares: float64, (component,): share of the training set's variance along each.
        extractor_sha256: Digest of the weights whose features were projected.
    """

    real: ProjectedSet
    reconstructed: Mapping[int, ProjectedSet]
    explained_shares: npt.NDArray[np.float64]
    extractor_sha256: str

    def to_bytes(self) -> bytes:
        """The projection as an npz."""
        arrays: dict[str, Array] = {
            "explained_shares": self.explained_shares,
            "extractor_sha256": np.array(self.extractor_sha256),
            "t_re": np.array(sorted(self.reconstructed), dtype=np.int64),
            "train_coordinates": self.real.coordinates,
            "train_labels": self.real.labels,
        }
        for t_re in sorted(self.reconstructed):
            arrays[f"coordinates_{t_re}"] = self.reconstructed[t_re].coordinates
            arrays[f"labels_{t_re}"] = self.reconstructed[t_re].labels
        return pack(arrays)

    @classmethod
    def from_bytes(cls, body: bytes) -> "Projection":
        """The projection in an npz; raises ``InvalidMeasureInput`` where arrays are missing."""
        arrays = unpack(body)
        try:
            return cls(
                ProjectedSet(arrays["train_coordinates"], arrays["train_labels"]),
                {
                    int(t_re): ProjectedSet(arrays[f"coordinates_{t_re}"], arrays[f"labels_{t_re}"])
                    for t_re in arrays["t_re"]
                },
                arrays["explained_shares"],
                str(arrays["extractor_sha256"]),
            )
        except KeyError as missing:
            raise InvalidMeasureInput(f"The npz lacks {missing.args[0]}.") from missing
