"""Reading image sets, and checking that they fit what is about to happen to them."""

import numpy as np

from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidImageSet
from replicalab.storage.image_sets import ImageSet


def read_images(context: TaskContext, role: str, *, classes: int | None) -> ImageSet:
    """Every image set in ``role``, one after the other.

    Args:
        context: The task.
        role: Of its inputs.
        classes: How many there are; None where labels do not matter.

    Raises:
        InvalidImageSet: The sets differ in shape, or a label is not below ``classes``.
    """
    parts = [ImageSet.from_bytes(body) for body in context.read(role)]
    shapes = {part.images.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise InvalidImageSet(
            f"The image sets of {role!r} differ in (height, width, channel): {sorted(shapes)}."
        )
    images = ImageSet.concatenate(parts)
    highest = int(np.max(images.labels))
    if classes is not None and highest >= classes:
        raise InvalidImageSet(
            f"{role!r} holds the label {highest}, but there are only {classes} classes (from 0)."
        )
    return images


class ImageShelf:
    """The image sets read last: shards of one study read the same real set one after another.

    Reading CIFAR-10's 154 MB takes about a second, as long as a GPU needs for many images.
    """

    def __init__(self) -> None:
        self._key: tuple[tuple[str, ...], int | None] | None = None
        self._images: ImageSet | None = None

    def images_of(self, context: TaskContext, role: str, *, classes: int | None) -> ImageSet:
        """As ``read_images``, without reading again what was read last."""
        key = (tuple(ref.sha256 for ref in context.refs(role)), classes)
        if self._images is None or key != self._key:
            self._key, self._images = None, None
            self._images = read_images(context, role, classes=classes)
            self._key = key
        return self._images


def check_shape(images: ImageSet, *, resolution: int, channels: int) -> None:
    """Refuse images of another size or number of channels with ``InvalidImageSet``."""
    expected = (resolution, resolution, channels)
    if images.images.shape[1:] != expected:
        raise InvalidImageSet(
            f"The generator takes images of (height, width, channel) {expected}, these have "
            f"{images.images.shape[1:]}; use a generator trained on this data set."
        )
