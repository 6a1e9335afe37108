"""Which classes the images of two sides belong to, and whether both sides have the same."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from replicalab.file_errors import InvalidComparison
from replicalab.storage.pixel_rows import ImageFiles

LABELS = "labels"
"""What an .npz calls its labels."""

FEWEST_CLASSES = 2
MOST_NAMED = 10

ClassNames = npt.NDArray[np.str_]
"""The class of every image of a side, in order."""


@dataclass(frozen=True, slots=True)
class Classes:
    """Classes that two sides share.

    Attributes:
        names: Of every class; a label is a place among them.
        real: int64, (image,): labels of the real side.
        fake: int64, (image,): labels of the generated side.
    """

    names: tuple[str, ...]
    real: npt.NDArray[np.int64]
    fake: npt.NDArray[np.int64]


def classes_of_folders(root: Path, files: ImageFiles) -> ClassNames | None:
    """The folder right below ``root`` that every image lies in; None where some lie in none."""
    places = [path.relative_to(root).parts for path in files.paths]
    if min(map(len, places)) < 2:
        return None
    # A name that is no text keeps its bytes, as an escape that can be printed.
    return np.array([os.fsencode(place[0]).decode(errors="backslashreplace") for place in places])


def classes_of_labels(labels: npt.NDArray[Any], images: int, name: str) -> ClassNames:
    """The labels of an array as names.

    Raises:
        InvalidComparison: Not one whole number from 0 for each image; it begins with ``name``.
    """
    is_whole = np.issubdtype(labels.dtype, np.integer)
    if not is_whole or labels.shape != (images,) or (labels < 0).any():
        raise InvalidComparison(
            f"{name}: {LABELS} must be {images} whole numbers from 0, one an image, not "
            f"{labels.dtype} of shape {labels.shape}."
        )
    return labels.astype(np.str_)


def shared_classes(real: ClassNames | None, fake: ClassNames | None) -> Classes:
    """The classes of both sides.

    Raises:
        InvalidComparison: A side has no labels, there is one class, or a class has images on one
            side only.
    """
    if real is None or fake is None:
        sides = " and ".join(
            side for side, classes in (("real", real), ("generated", fake)) if classes is None
        )
        raise InvalidComparison(
            f"The {sides} images have no labels, which this takes on both sides: give folders of "
            f"class folders, or an .npz with {LABELS}."
        )
    found, expected = (np.unique(each).tolist() for each in (fake, real))
    if found != expected:
        apart = _in_order(set(found) ^ set(expected))
        raise InvalidComparison(
            f"{len(apart)} classes have images on one side only: {', '.join(apart[:MOST_NAMED])}."
        )
    if len(found) < FEWEST_CLASSES:
        raise InvalidComparison(f"All images are of the class {found[0]}; there must be two.")
    names = _in_order(set(found))
    places = {name: place for place, name in enumerate(names)}
    labels = (np.array([places[name] for name in side.tolist()]) for side in (real, fake))
    return Classes(tuple(names), *labels)


def _in_order(names: set[str]) -> list[str]:
    """By number where all are numbers, else by letters."""
    if all(name.isdecimal() for name in names):
        return sorted(names, key=int)
    return sorted(names)
