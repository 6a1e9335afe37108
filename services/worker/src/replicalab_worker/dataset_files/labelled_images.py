"""What every kind of uploaded file is read as."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Report = Callable[[int, int, str], None]
"""Takes what is done, what there is in all, and what is being done."""

Places = npt.NDArray[np.int64]
"""Which of the images, in an order."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is known of the images before one is opened.

    Attributes:
        class_names: A label is a place among them.
        labels: int64, (image,).
        is_test: bool, (image,): which ones the file puts aside for testing; None where it has no
            split of its own.
    """

    class_names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    is_test: npt.NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class Shape:
    """Of every image, once it is read by the recipe."""

    resolution: int
    channels: Literal[1, 3]

    @property
    def size_bytes(self) -> int:
        """Of one image."""
        return self.resolution**2 * self.channels


class LabelledImages(Protocol):
    """The images of a file, in an order of its own."""

    @property
    def labelling(self) -> Labelling:
        """Classes and labels."""

    def shape(self, resolution: int | None, report: Report) -> Shape:
        """What all images become; looks at every header before any pixel.

        Args:
            resolution: To resize to; None takes them as they are.
            report: Takes how far it is.

        Raises:
            InvalidDataset: They are no squares of one size, and nobody has said what size to make
                them.
        """

    def pixels(self, place: int, shape: Shape) -> npt.NDArray[np.uint8]:
        """One image, uint8 (resolution, resolution, channels); cheapest in rising order."""
