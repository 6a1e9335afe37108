"""Data sets from folders of images, held against the specification that describes them."""

import numpy as np

from replicalab.domain.datasets import ImageFolderDataset
from replicalab.file_errors import DatasetUnavailable, InvalidDataset
from replicalab.storage.image_folders import ImageFolder, LabelledFiles, read_images, scan
from replicalab.storage.image_sets import ImageSet, Splits
from replicalab_worker.pipelines.pace import Pace
from replicalab_worker.pipelines.pinned_files import PinnedFolder, Report


def read_image_folder(folder: PinnedFolder, dataset: ImageFolderDataset, report: Report) -> Splits:
    """Both splits of the folder that ``dataset`` describes.

    Raises:
        DatasetUnavailable: There is no such folder.
        InvalidDataset: It is not what the specification says; the detail says what was found.
    """
    root = folder.folder / dataset.folder
    if not root.is_dir():
        raise DatasetUnavailable(
            f"There is no folder {root}. Put the class folders there whose images have the digest "
            f"{dataset.sha256}.",
            folder=str(root),
            sha256=dataset.sha256,
        )
    found = scan(root)
    train, test = _splits(found, dataset)
    _check(found, dataset, (len(train), len(test)))
    return _images(train, dataset, report), _images(test, dataset, report)


def _splits(found: ImageFolder, dataset: ImageFolderDataset) -> tuple[LabelledFiles, LabelledFiles]:
    match found.test, dataset.split_seed:
        case LabelledFiles() as test, None:
            return found.train, test
        case None, int(seed):
            return _drawn(found, dataset, seed)
        case test, _:
            raise InvalidDataset(
                f"{found.root} {'has no' if test is None else 'has'} folders train and test, so "
                f"split_seed must {'be given' if test is None else 'be null'}."
            )


def _drawn(
    found: ImageFolder, dataset: ImageFolderDataset, seed: int
) -> tuple[LabelledFiles, LabelledFiles]:
    # Other data sets need none of it.
    from replicalab_worker.dataset_files.shares import shares_of_classes  # noqa: PLC0415

    files, tests = found.train, dataset.test_images
    _check_number(found, "images", len(files), dataset.train_images + tests)
    parts = shares_of_classes(files.labels, tests=tests, seed=seed)
    train, test = (_part(files, np.sort(places)) for places in parts)
    return train, test


def _part(files: LabelledFiles, places: np.ndarray) -> LabelledFiles:
    return LabelledFiles(tuple(files.paths[place] for place in places), files.labels[places])


def _check(found: ImageFolder, dataset: ImageFolderDataset, sizes: tuple[int, int]) -> None:
    _check_number(found, "classes", len(found.classes), dataset.classes)
    _check_number(found, "training images", sizes[0], dataset.train_images)
    _check_number(found, "test images", sizes[1], dataset.test_images)
    sha256 = found.digest()
    if sha256 != dataset.sha256:
        raise InvalidDataset(
            f"The images in {found.root} have the digest {sha256}, not {dataset.sha256}.",
            sha256=sha256,
        )


def _check_number(found: ImageFolder, what: str, number: int, expected: int) -> None:
    if number != expected:
        raise InvalidDataset(f"{found.root} holds {number} {what}, not {expected}.")


def _images(files: LabelledFiles, dataset: ImageFolderDataset, report: Report) -> ImageSet:
    pace = Pace()

    def progress(done: int, total: int) -> None:
        if pace.is_due():
            report(done, total, "reading images")

    images = read_images(
        files, resolution=dataset.resolution, channels=dataset.channels, progress=progress
    )
    return ImageSet(images, files.labels, np.arange(len(images), dtype=np.int64))
