"""What detectors of reconstructions answer, the form in which the worker hands it to metrics."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.errors import InvalidMeasureInput
from replicalab.storage.arrays import pack, unpack_measured
from replicalab.storage.features import check_outputs, check_per_image

REAL, FAKE = 0, 1
"""Labels, and places of the logits."""

_NAMES = ("logits", "labels", "indices", "classes", "seed", "split_seed", "learnt_sources")


@dataclass(frozen=True, slots=True)
class Detections:
    """Answers on the original and on the reconstruction of every source that was held out.

    The originals stand first, their reconstructions after them in the same order.

    Attributes:
        logits: float32, (answer, 2): for a real image, for a reconstruction.
        labels: int64, (answer,): ``REAL`` or ``FAKE``.
        indices: int64, (answer,): of the source, as in ``ImageSet``.
        classes: int64, (answer,): class of the source.
        seed: Of the training run.
        split_seed: Of the draw of the sources held out.
        learnt_sources: From how many others the detector learnt.
    """

    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    seed: int
    split_seed: int
    learnt_sources: int

    def __post_init__(self) -> None:
        answers = self.labels.size
        for name in ("labels", "indices", "classes"):
            check_per_image(name, getattr(self, name), answers)
        check_outputs("logits", self.logits, answers)
        originals, reconstructions = np.array_split(self.indices, 2)
        if self.logits.shape[1] != 2 or not (
            np.array_equal(self.labels, np.repeat([REAL, FAKE], answers // 2))
            and np.array_equal(originals, reconstructions)
            and len(np.unique(originals)) == len(originals)
        ):
            raise InvalidMeasureInput(
                "Detections must be two logits for every source's original and, in the same "
                "order, for its reconstruction."
            )

    @property
    def sources(self) -> int:
        """How many source images were held out."""
        return len(self.labels) // 2

    def to_bytes(self) -> bytes:
        """The answers as an npz."""
        return pack({name: np.asarray(getattr(self, name)) for name in _NAMES})

    @classmethod
    def from_bytes(cls, body: bytes) -> "Detections":
        """The answers in an npz; raises ``InvalidMeasureInput`` where they break the contract."""
        arrays = unpack_measured(body, _NAMES)
        return cls(
            arrays["logits"],
            arrays["labels"],
            arrays["indices"],
            arrays["classes"],
            int(arrays["seed"]),
            int(arrays["split_seed"]),
            int(arrays["learnt_sources"]),
        )
