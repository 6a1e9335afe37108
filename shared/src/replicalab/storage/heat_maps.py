"""Heat maps of a trained classifier, the form in which the worker hands them to metrics."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.errors import InvalidMeasureInput
from replicalab.storage.arrays import pack, unpack_measured
from replicalab.storage.features import check_per_image, check_whole_numbers

_PER_IMAGE = ("labels", "predictions", "indices")
_SCALARS = ("block", "seed", "classifier_sha256")


@dataclass(frozen=True, slots=True)
class HeatMaps:
    """Grad-CAM of one classifier on real test images, for the class each is labelled with.

    Attributes:
        maps: float32, (image, height, width), 0 or above: at the resolution of the block and not
            normalised. Whoever shows or compares them says how they are scaled.
        labels: int64, (image,).
        predictions: int64, (image,): the class that the classifier answers.
        indices: int64, (image,): as in ``ImageSet``.
        image_size: int64, (2,): height and width of the images, pixels.
        block: Stage of the network, from 1.
        seed: Of the training run.
        classifier_sha256: Digest of the classifier's weights.
    """

    maps: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    image_size: npt.NDArray[np.int64]
    block: int
    seed: int
    classifier_sha256: str

    def __post_init__(self) -> None:
        if self.maps.dtype != np.float32 or self.maps.ndim != 3 or not self.maps.size:
            raise InvalidMeasureInput(
                "maps must be float32 of shape (image >= 1, height, width), not "
                f"{self.maps.dtype} of shape {self.maps.shape}."
            )
        if not np.isfinite(self.maps).all() or (self.maps < 0).any():
            raise InvalidMeasureInput("maps must be finite and not below 0.")
        for name in _PER_IMAGE:
            check_per_image(name, getattr(self, name), len(self.maps))
        check_whole_numbers("image_size", self.image_size, 2, least=1)

    def __len__(self) -> int:
        return len(self.maps)

    def to_bytes(self) -> bytes:
        """The maps as an npz."""
        return pack(
            {
                "maps": self.maps,
                "labels": self.labels,
                "predictions": self.predictions,
                "indices": self.indices,
                "image_size": self.image_size,
                "block": np.array(self.block),
                "seed": np.array(self.seed),
                "classifier_sha256": np.array(self.classifier_sha256),
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> "HeatMaps":
        """The maps in an npz; raises ``InvalidMeasureInput`` where they break the contract."""
        arrays = unpack_measured(body, ("maps", "image_size", *_PER_IMAGE, *_SCALARS))
        return cls(
            arrays["maps"],
            arrays["labels"],
            arrays["predictions"],
            arrays["indices"],
            arrays["image_size"],
            int(arrays["block"]),
            int(arrays["seed"]),
            str(arrays["classifier_sha256"]),
        )
