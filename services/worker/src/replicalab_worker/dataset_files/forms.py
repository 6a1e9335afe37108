"""Which shape a set of images has, or is given."""

from collections.abc import Iterable
from typing import Literal

from replicalab.domain.datasets import LARGEST_RESOLUTION, SMALLEST_RESOLUTION
from replicalab.file_errors import ImageLimits, InvalidDataset
from replicalab.storage.pictures import Form
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.labelled_images import Shape


def common_shape(forms: Iterable[Form], resolution: int | None) -> Shape:
    """The shape of images of these forms; grey only if all of them are.

    Args:
        forms: Of every image.
        resolution: What all are resized to; None where they must have one size.

    Raises:
        InvalidDataset: They have several sizes, or are no squares, and are not to be resized.
        ImageLimits: All together they claim too many pixels.
    """
    sizes: set[tuple[int, int]] = set()
    pixels, is_grey = 0, True
    for width, height, grey in forms:
        pixels += width * height
        if pixels > limits.MOST_PIXELS_IN_ALL:
            raise ImageLimits(
                f"The images claim more than {limits.MOST_PIXELS_IN_ALL:,} pixels in all."
            )
        if len(sizes) <= 1:  # two tell enough
            sizes.add((width, height))
        is_grey = is_grey and grey
    channels: Literal[1, 3] = 1 if is_grey else 3
    return Shape(resolution or _own_resolution(sizes), channels)


def _own_resolution(sizes: set[tuple[int, int]]) -> int:
    listed = " and ".join(f"{width} x {height}" for width, height in sorted(sizes))
    if len(sizes) > 1:
        raise InvalidDataset(
            f"The images have several sizes, such as {listed}. Give a resolution, and they are "
            "cropped to their middle squares and resized to it."
        )
    ((width, height),) = sizes
    if width != height or not SMALLEST_RESOLUTION <= width <= LARGEST_RESOLUTION:
        raise InvalidDataset(
            f"The images have {listed} pixels; they must be squares of {SMALLEST_RESOLUTION} to "
            f"{LARGEST_RESOLUTION}. Give a resolution, and they are cropped and resized to it."
        )
    return width
