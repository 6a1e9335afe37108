"""Data sets, brought into the one form that every later stage reads."""

from typing import assert_never

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torchvision.datasets import CIFAR100

from replicalab.domain import artifacts
from replicalab.domain.datasets import (
    Cifar10Dataset,
    Cifar100Dataset,
    DigitsDataset,
    ImageFolderDataset,
    PreparedDataset,
    Stl10Dataset,
    SvhnDataset,
    facts_of,
)
from replicalab.domain.tasks import PrepareDataset
from replicalab.engine.handlers import TaskContext
from replicalab.file_errors import InvalidDataset
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.image_folder_datasets import read_image_folder
from replicalab_worker.pipelines.pinned_files import PinnedFolder, Report
from replicalab_worker.pipelines.public_datasets import (
    CIFAR100_ARCHIVE,
    Splits,
    read_cifar,
    read_stl10,
    read_svhn,
)

DIGITS_WHITE = 16
"""Highest grey level of scikit-learn's digits."""


class DatasetPreparation:
    """Handler of ``prepare-dataset``."""

    def __init__(self, folder: PinnedFolder) -> None:
        self._folder = folder

    def __call__(self, context: TaskContext, params: PrepareDataset) -> None:
        """Write both splits of a data set; refuses one that planning was told otherwise of."""
        train, test = self._read(params.dataset, context.progress)
        facts = facts_of(params.dataset)
        shape = (facts.resolution, facts.resolution, facts.channels)
        for split, expected in ((train, facts.train_images), (test, facts.test_images)):
            if split.images.shape != (expected, *shape):
                raise InvalidDataset(
                    f"The data set {params.dataset.kind} holds a split of {split.images.shape} "
                    f"(image, height, width, channel), not {(expected, *shape)}."
                )
        context.write(artifacts.TRAIN_IMAGES, train.to_bytes(), artifacts.NPZ)
        context.write(artifacts.TEST_IMAGES, test.to_bytes(), artifacts.NPZ)
        context.progress(1, 1, "prepared")

    def _read(self, dataset: PreparedDataset, report: Report) -> Splits:
        match dataset:
            case DigitsDataset():
                return digits(dataset)
            case Cifar10Dataset():
                return read_cifar(self._folder, report)
            case Cifar100Dataset():
                return read_cifar(self._folder, report, CIFAR100, CIFAR100_ARCHIVE)
            case SvhnDataset():
                return read_svhn(self._folder, report)
            case Stl10Dataset(resolution=resolution):
                return read_stl10(self._folder, report, resolution=resolution)
            case ImageFolderDataset():
                return read_image_folder(self._folder, dataset, report)
            case _:
                assert_never(dataset)


def digits(dataset: DigitsDataset) -> Splits:
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
