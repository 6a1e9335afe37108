"""Features and logits of an image set, the form in which the worker hands them to metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.domain.features import CLASSIFIER_SPACE
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.arrays import Array, pack, unpack_measured


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Outputs of one network for one image set.

    Attributes:
        features: float32, (image, dimension): of a classifier, its penultimate layer after pooling.
        logits: float32, (image, class); None for networks that are no classifiers of the images.
        labels: int64, (image,).
        indices: int64, (image,): as in ``ImageSet``.
        extractor_sha256: Digest of the network's weights; unlike extractors never compare.
        space: Which network, and which of its layers.
    """

    features: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32] | None
    labels: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    extractor_sha256: str
    space: str = CLASSIFIER_SPACE

    def __post_init__(self) -> None:
        images = self.labels.size
        check_per_image("labels", self.labels, images)
        check_per_image("indices", self.indices, images)
        check_outputs("features", self.features, images)
        if self.logits is not None:
            check_outputs("logits", self.logits, images)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def answers(self) -> npt.NDArray[np.float32]:
        """The logits; raises ``InvalidMeasureInput`` where the network gives none."""
        if self.logits is None:
            raise InvalidMeasureInput(
                f"Features of {self.space} come without logits: the real-trained classifier must "
                "be asked."
            )
        return self.logits

    def to_bytes(self) -> bytes:
        """The set as an npz."""
        logits = {} if self.logits is None else {"logits": self.logits}
        return pack(
            {
                "features": self.features,
                **logits,
                "labels": self.labels,
                "indices": self.indices,
                "extractor_sha256": np.array(self.extractor_sha256),
                "space": np.array(self.space),
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> "FeatureSet":
        """The set in an npz; raises ``InvalidMeasureInput`` where it breaks the contract."""
        names = ("features", "labels", "indices", "extractor_sha256", "space")
        arrays = unpack_measured(body, names)
        return cls(
            arrays["features"],
            arrays.get("logits"),
            arrays["labels"],
            arrays["indices"],
            str(arrays["extractor_sha256"]),
            str(arrays["space"]),
        )


@dataclass(frozen=True, slots=True)
class TestLogits:
    """What a trained classifier answered on the real test set.

    Attributes:
        logits: float32, (image, class).
        labels: int64, (image,).
        seed: Seed of the training run.
    """

    __test__ = False  # not a pytest class

    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    seed: int

    def __post_init__(self) -> None:
        check_per_image("labels", self.labels, self.labels.size)
        check_outputs("logits", self.logits, self.labels.size)

    def to_bytes(self) -> bytes:
        """The answers as an npz."""
        return pack({"logits": self.logits, "labels": self.labels, "seed": np.array(self.seed)})

    @classmethod
    def from_bytes(cls, body: bytes) -> "TestLogits":
        """The answers in an npz; raises ``InvalidMeasureInput`` where they break the contract."""
        arrays = unpack_measured(body, ("logits", "labels", "seed"))
        return cls(arrays["logits"], arrays["labels"], int(arrays["seed"]))


def runs_from_bytes(bodies: Sequence[bytes]) -> list[TestLogits]:
    """Answers of every training run on one and the same test set.

    Raises:
        InvalidMeasureInput: There are none, test sets differ, or two runs have one seed.
    """
    runs = [TestLogits.from_bytes(body) for body in bodies]
    if not runs:
        raise InvalidMeasureInput("An accuracy needs at least one training run.")
    if len({run.labels.tobytes() for run in runs}) > 1:
        raise InvalidMeasureInput("The training runs were tested on different test sets.")
    if len({run.seed for run in runs}) < len(runs):
        raise InvalidMeasureInput("Two training runs have the same seed.")
    return runs


def check_outputs(name: str, array: Array, images: int) -> None:
    """Raise ``InvalidMeasureInput`` unless a network's outputs are finite rows, one an image."""
    if array.dtype != np.float32 or array.ndim != 2 or len(array) != images or not array.size:
        raise InvalidMeasureInput(
            f"{name} must be float32 of shape ({images} >= 1, at least 1), not {array.dtype} of "
            f"shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise InvalidMeasureInput(f"{name} hold values that are not finite.")


def check_per_image(name: str, array: Array, images: int) -> None:
    """Raise ``InvalidMeasureInput`` unless ``array`` holds a whole number from 0 for each image."""
    check_whole_numbers(name, array, images, least=0)


def check_whole_numbers(name: str, array: Array, length: int, *, least: int) -> None:
    """Raise ``InvalidMeasureInput`` unless ``array`` holds so many whole numbers from ``least``."""
    if array.dtype != np.int64 or array.shape != (length,) or (array < least).any():
        raise InvalidMeasureInput(
            f"{name} must be {length} int64 values from {least}, not {array.dtype} of shape "
            f"{array.shape}."
        )
