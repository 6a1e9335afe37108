"""Which images are for training and which for testing."""

import unicodedata

import numpy as np
import numpy.typing as npt

from replicalab.domain.datasets import FEWEST_TRAINING_IMAGES, DatasetRecipe
from replicalab.file_errors import InvalidDataset
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.labelled_images import Labelling, Places
from replicalab_worker.dataset_files.shares import shares_of_classes

FEWEST_CLASSES = 2


def split(labelling: Labelling, recipe: DatasetRecipe) -> tuple[Places, Places]:
    """Places of the training and of the test images, both rising.

    The file's own split; where it has none, one in equal shares of every class, drawn by the
    recipe's seed.

    Raises:
        InvalidDataset: There are fewer than two classes, or one has no image in a split.
    """
    _check_classes(labelling)
    labels = labelling.labels
    if labelling.is_test is not None:
        train, test = np.flatnonzero(~labelling.is_test), np.flatnonzero(labelling.is_test)
    else:
        _check_every_class(labelling, labels, FEWEST_TRAINING_IMAGES, "to be split")
        tests = max(len(labelling.class_names), round(len(labels) * recipe.test_share))
        if len(labels) - tests < len(labelling.class_names):
            raise InvalidDataset(
                f"{len(labels)} images are too few to test on {tests} and train on every class."
            )
        train, test = (
            np.sort(places)
            for places in shares_of_classes(labels, tests=tests, seed=recipe.split_seed)
        )
    _check_every_class(labelling, labels[train], 1, "for training")
    _check_every_class(labelling, labels[test], 1, "for testing")
    return train, test


def _check_classes(labelling: Labelling) -> None:
    names = labelling.class_names
    if not FEWEST_CLASSES <= len(names) <= limits.MOST_CLASSES:
        raise InvalidDataset(
            f"There are {len(names):,} classes; there must be {FEWEST_CLASSES} to "
            f"{limits.MOST_CLASSES:,}."
        )
    if len(set(names)) != len(names):
        raise InvalidDataset("Two classes have the same name.")
    for name in names:
        is_plain = not any(unicodedata.category(letter).startswith("C") for letter in name)
        if not (is_plain and name.strip() and len(name) <= limits.MOST_NAME_CHARACTERS):
            raise InvalidDataset(
                f"{name[:40]!a} is no name of a class: 1 to {limits.MOST_NAME_CHARACTERS} visible "
                "characters are."
            )


def _check_every_class(
    labelling: Labelling, labels: npt.NDArray[np.int64], fewest: int, purpose: str
) -> None:
    counts = np.bincount(labels, minlength=len(labelling.class_names))
    for name, count in zip(labelling.class_names, counts, strict=True):
        if count < fewest:
            raise InvalidDataset(
                f"The class {name!r} has {count} images {purpose}; it needs at least {fewest}."
            )
