"""Data sets, brought into the one form that every later stage reads."""

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from replicalab.domain import artifacts
from replicalab.domain.datasets import DigitsDataset, facts_of
from replicalab.domain.tasks import PrepareDataset
from replicalab.engine.handlers import TaskContext
from replicalab.storage.image_sets import ImageSet

DIGITS_WHITE = 16
"""Highest grey level of scikit-learn's digits."""


def prepare_dataset(context: TaskContext, params: PrepareDataset) -> None:
    """Write both splits of a data set."""
    train, test = digits(params.dataset)
    context.write(artifacts.TRAIN_IMAGES, train.to_bytes(), artifacts.NPZ)
    context.write(artifacts.TEST_IMAGES, test.to_bytes(), artifacts.NPZ)
    context.progress(1, 1, "prepared")


def digits(dataset: DigitsDataset) -> tuple[ImageSet, ImageSet]:
    """Training and test split: classes in equal shares, drawn by ``dataset.split_seed``."""
    source = load_digits()
    images = np.rint(source.images * (255 / DIGITS_WHITE)).astype(np.uint8)[..., None]
    labels = source.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(images)),
        test_size=facts_of(dataset).test_images,
        random_state=dataset.split_seed,
        stratify=labels,
    )
    return _split(images[train], labels[train]), _split(images[test], labels[test])


def _split(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> ImageSet:
    return ImageSet(images, labels, np.arange(len(images), dtype=np.int64))
