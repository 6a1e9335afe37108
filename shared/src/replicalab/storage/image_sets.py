"""Labelled image sets, the form in which every stage hands images to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.errors import InvalidImageSet
from replicalab.storage.arrays import pack, unpack


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images of one split.

    Attributes:
        images: uint8, (image, height, width, channel), 0 to 255.
        labels: int64, (image,), 0 to classes - 1.
        indices: int64, (image,): place of each image in its real split, shared by an image and
            all its reconstructions.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or n == 0:
            raise InvalidImageSet(
                "images must be uint8 of shape (image >= 1, height, width, channel), not "
                f"{self.images.dtype} of shape {self.images.shape}."
            )
        for name, array in (("labels", self.labels), ("indices", self.indices)):
            if array.dtype != np.int64 or array.shape != (n,) or array.min() < 0:
                raise InvalidImageSet(
                    f"{name} must be {n} int64 values from 0, not {array.dtype} of shape "
                    f"{array.shape}."
                )

    def __len__(self) -> int:
        return len(self.images)

    def to_bytes(self) -> bytes:
        """The set as an npz."""
        return pack({"images": self.images, "labels": self.labels, "indices": self.indices})

    @classmethod
    def from_bytes(cls, body: bytes) -> "ImageSet":
        """The set in an npz; raises ``InvalidImageSet`` where it breaks the contract."""
        arrays = unpack(body)
        missing = {"images", "labels", "indices"} - arrays.keys()
        if missing:
            raise InvalidImageSet(f"The npz lacks {', '.join(sorted(missing))}.")
        return cls(arrays["images"], arrays["labels"], arrays["indices"])

    @classmethod
    def concatenate(cls, parts: Sequence["ImageSet"]) -> "ImageSet":
        """The parts one after the other."""
        return cls(
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.indices for part in parts]),
        )


Splits = tuple[ImageSet, ImageSet]
"""Training and test images."""
