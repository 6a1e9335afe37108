"""Data sets, brought into the one form that every later stage reads."""

from typing import assert_never

import numpy as np
import numpy.typing as npt

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
from replicalab.storage.image_sets import ImageSet, Splits
from replicalab_worker.pipelines.image_folder_datasets import read_image_folder
from replicalab_worker.pipelines.pinned_files import PinnedFolder, Report

PublicDataset = Cifar10Dataset | Cifar100Dataset | SvhnDataset | Stl10Dataset

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
            case ImageFolderDataset():
                return read_image_folder(self._folder, dataset, report)
            case _:
                return _public(self._folder, dataset, report)


def _public(folder: PinnedFolder, dataset: PublicDataset, report: Report) -> Splits:
    # torchvision takes seconds to import, and other data sets need none of it.
    from replicalab_worker.pipelines import public_datasets as public  # noqa: PLC0415

    match dataset:
        case Cifar10Dataset():
            return public.read_cifar(folder, report)
        case Cifar100Dataset():
            return public.read_cifar100(folder, report)
        case SvhnDataset():
            return public.read_svhn(folder, report)
        case Stl10Dataset(resolution=resolution):
            return public.read_stl10(folder, report, resolution=resolution)
        case _:
            assert_never(dataset)


def digits(dataset: DigitsDataset) -> Splits:
    """Training and test split: classes in equal shares, drawn by ``dataset.split_seed``."""
    # Other data sets need none of it.
    from sklearn.datasets import load_digits  # noqa: PLC0415

    from replicalab_worker.dataset_files.shares import shares_of_classes  # noqa: PLC0415

    source = load_digits()
    images = np.rint(source.images * (255 / DIGITS_WHITE)).astype(np.uint8)[..., None]
    labels = source.target.astype(np.int64)
    train, test = shares_of_classes(
        labels, tests=facts_of(dataset).test_images, seed=dataset.split_seed
    )
    return _split(images[train], labels[train]), _split(images[test], labels[test])


def _split(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> ImageSet:
    return ImageSet(images, labels, np.arange(len(images), dtype=np.int64))
