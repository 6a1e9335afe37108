"""What a user names as one side of a comparison: a folder, a file of arrays, or an array."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import MAGIC_PREFIX

from replicalab.comparisons.labels import (
    LABELS,
    ClassNames,
    classes_of_folders,
    classes_of_labels,
)
from replicalab.errors import InvalidImageSet, InvalidMeasureInput
from replicalab.file_errors import InvalidComparison
from replicalab.storage.features import FeatureSet
from replicalab.storage.pixel_rows import Pixels, image_files

Array = npt.NDArray[Any]
Source = Path | str | Array
"""A folder of images, an .npy or .npz, or what such a file would hold."""

UNNAMED_SPACE = "features as given"
CHANNELS = (1, 3)
ZIP_MAGIC = b"PK"
ARRAY_NAMES = ("images", "features", "arr_0")
"""What an .npz calls its images or features; with a single array any name will do."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Attributes:
        content: Images, to be read when they are needed, or features, all as of one class.
        classes: Of every image; None where the source does not tell.
    """

    content: Pixels | FeatureSet
    classes: ClassNames | None = None


def read_side(source: Source) -> Side:
    """Images or features, and what tells their classes.

    Args:
        source: uint8 images, (image, height, width) with or without channels at the end, or
            floating-point features, (image, dimension). Folders in a folder are classes; an .npz
            may hold labels.

    Raises:
        InvalidComparison: It is none of these; the detail says what was found.
    """
    if isinstance(source, np.ndarray):
        return Side(_content_of(source, "the array"))
    path = Path(source)
    if path.is_dir():
        files = image_files(path)
        return Side(files, classes_of_folders(path, files))
    if not path.is_file():
        raise InvalidComparison(f"{path} is not there.")
    return _read_file(path)


def _read_file(path: Path) -> Side:
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC_PREFIX))
            if head.startswith(ZIP_MAGIC):
                file.seek(0)
                with np.load(file, allow_pickle=False) as archive:
                    return _side_of_archive(archive, path)
        if head != MAGIC_PREFIX:
            raise InvalidComparison(f"{path} is neither a folder nor an .npy or .npz.")
        return Side(_content_of(np.load(path, mmap_mode="r", allow_pickle=False), str(path)))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidComparison(f"{path} does not hold plain arrays: {error}") from error


def _side_of_archive(archive: Any, path: Path) -> Side:
    """A set of features with its extractor, as a study stores it, or the one array of interest."""
    names = set(archive.files) - {LABELS}
    if {"features", "extractor_sha256"} <= names:
        return _stored_features(path)
    known = [name for name in ARRAY_NAMES if name in names]
    name = known[0] if known else next(iter(names), None)
    if name is None or not (known or len(names) == 1):
        raise InvalidComparison(
            f"{path} holds the arrays {', '.join(sorted(archive.files)) or '(none)'}; call the one "
            "that counts images or features."
        )
    content = _content_of(archive[name], f"{path}, {name}")
    if LABELS not in archive.files:
        return Side(content)
    return Side(content, classes_of_labels(archive[LABELS], len(content), str(path)))


def _stored_features(path: Path) -> Side:
    """Values without labels are to be those of the same features in any other file."""
    try:
        stored = FeatureSet.from_bytes(path.read_bytes())
    except (InvalidMeasureInput, InvalidImageSet) as error:
        raise InvalidComparison(f"{path}: {error.detail}") from error
    features = features_of(stored.features, stored.extractor_sha256, stored.space, str(path))
    return Side(features, classes_of_labels(stored.labels, len(stored), str(path)))


def _content_of(array: Array, name: str) -> Pixels | FeatureSet:
    if array.dtype == np.uint8 and array.ndim in {3, 4} and array.size:
        images = array[..., None] if array.ndim == 3 else array
        if images.shape[-1] in CHANNELS:
            return images
    elif np.issubdtype(array.dtype, np.floating) and array.ndim == 2 and array.size:
        return _unnamed_features(array, name)
    raise InvalidComparison(
        f"{name} is {array.dtype} of shape {array.shape}. Images are uint8, (image, height, "
        "width) or (image, height, width, 1 or 3); features are floating point, (image, dimension)."
    )


def _unnamed_features(array: Array, name: str) -> FeatureSet:
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as not finite
        features = np.ascontiguousarray(array, dtype=np.float32)
    return features_of(features, "", UNNAMED_SPACE, name)


def features_of(
    features: npt.NDArray[np.float32], extractor_sha256: str, space: str, name: str
) -> FeatureSet:
    """Features of images that belong to no class.

    Raises:
        InvalidComparison: Not all are finite; the detail begins with ``name``.
    """
    try:
        return FeatureSet(
            features=features,
            logits=None,
            labels=np.zeros(len(features), dtype=np.int64),
            indices=np.arange(len(features), dtype=np.int64),
            extractor_sha256=extractor_sha256,
            space=space,
        )
    except InvalidMeasureInput as error:
        raise InvalidComparison(f"{name}: {error.detail}") from error
