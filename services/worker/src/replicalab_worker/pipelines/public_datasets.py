"""Public data sets from their published files, through torchvision's readers.

An archive is opened only once its sha256 is right. CIFAR's batches are pickles: nothing but the
digests of archive and batch, which torchvision checks again, says that they are harmless.
"""

import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100, STL10, SVHN

from replicalab.domain.datasets import STL10_RESOLUTION
from replicalab.file_errors import DatasetUnavailable
from replicalab.storage.image_sets import ImageSet, Splits
from replicalab_worker.pipelines.pinned_files import PinnedFile, PinnedFolder, Report

CIFAR10_ARCHIVE = PinnedFile(
    CIFAR10.filename,
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    CIFAR10.url,
)
CIFAR100_ARCHIVE = PinnedFile(
    CIFAR100.filename,
    "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    CIFAR100.url,
)
STL10_ARCHIVE = PinnedFile(
    STL10.filename,
    "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
    STL10.url,
)
SVHN_FILES = {
    "train": PinnedFile(
        SVHN.split_list["train"][1],
        "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        SVHN.split_list["train"][0],
    ),
    "test": PinnedFile(
        SVHN.split_list["test"][1],
        "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        SVHN.split_list["test"][0],
    ),
}


class LabelledStl10(STL10):  # type: ignore[misc]
    """Without the 2.5 GB of images that have no label."""

    train_list = STL10.train_list[:2]


def read_cifar(
    folder: PinnedFolder,
    report: Report,
    reader: type[CIFAR10] = CIFAR10,
    archive: PinnedFile = CIFAR10_ARCHIVE,
) -> Splits:
    """CIFAR-10 or CIFAR-100 from the archive of Python batches.

    Args:
        folder: Where the archive lies.
        report: Takes how far checking and fetching are.
        reader: torchvision's class of the set, which knows its batches and their digests.
        archive: The archive.

    Raises:
        DatasetUnavailable: The archive is not there, or not what it should be.
    """
    batches = [name for name, _ in reader.train_list + reader.test_list]
    members = [f"{reader.base_folder}/{name}" for name in (*batches, reader.meta["filename"])]
    with _extracted(folder.path_of(archive, report), members) as root:
        train, test = (reader(str(root), train=is_training) for is_training in (True, False))
    return _image_set(train.data, train.targets), _image_set(test.data, test.targets)


def read_cifar100(folder: PinnedFolder, report: Report) -> Splits:
    """CIFAR-100 with its fine labels; raises as ``read_cifar``."""
    return read_cifar(folder, report, CIFAR100, CIFAR100_ARCHIVE)


def read_svhn(
    folder: PinnedFolder,
    report: Report,
    reader: type[SVHN] = SVHN,
    files: Mapping[str, PinnedFile] = SVHN_FILES,
) -> Splits:
    """The cropped digits of SVHN from their two files; arguments as of ``read_cifar``."""
    splits = []
    for split, file in files.items():
        path = folder.path_of(file, report)
        with _refusals_named(path):
            images = reader(str(path.parent), split=split)
        splits.append(_image_set(images.data.transpose(0, 2, 3, 1), images.labels))
    return splits[0], splits[1]


def read_stl10(
    folder: PinnedFolder,
    report: Report,
    *,
    resolution: int = STL10_RESOLUTION,
    reader: type[STL10] = LabelledStl10,
    archive: PinnedFile = STL10_ARCHIVE,
) -> Splits:
    """The labelled images of STL-10 at ``resolution``; other arguments as of ``read_cifar``."""
    names = [name for name, _ in reader.train_list + reader.test_list]
    members = [f"{reader.base_folder}/{name}" for name in names]
    with _extracted(folder.path_of(archive, report), members) as root:
        train, test = (reader(str(root), split=split) for split in ("train", "test"))
    return (
        _image_set(_resized(train.data, resolution), train.labels),
        _image_set(_resized(test.data, resolution), test.labels),
    )


def _resized(images: npt.NDArray[np.uint8], resolution: int) -> npt.NDArray[np.uint8]:
    """Images (image, channel, height, width) as (image, height, width, channel), resized."""
    channels_last = images.transpose(0, 2, 3, 1)
    if images.shape[-1] == resolution:
        return channels_last
    size = (resolution, resolution)
    resized = (
        Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.LANCZOS)
        for image in channels_last
    )
    return np.stack([np.asarray(image) for image in resized])


def _image_set(images: npt.NDArray[np.uint8], labels: object) -> ImageSet:
    return ImageSet(
        np.ascontiguousarray(images),
        np.asarray(labels, dtype=np.int64),
        np.arange(len(images), dtype=np.int64),
    )


@contextmanager
def _extracted(archive: Path, members: Collection[str]) -> Iterator[Path]:
    """A folder that holds ``members`` of the archive, for as long as it is needed."""
    with TemporaryDirectory(prefix="replicalab-") as root, _refusals_named(archive):
        with tarfile.open(archive) as packed:
            for name in members:
                packed.extract(name, root, filter="data")
        yield Path(root)


@contextmanager
def _refusals_named(path: Path) -> Iterator[None]:
    """What torchvision's readers and the archive refuse, as a problem of the file at ``path``."""
    try:
        yield
    except (RuntimeError, KeyError, tarfile.TarError) as error:
        raise DatasetUnavailable(f"{path} does not hold the data set: {error}") from error
