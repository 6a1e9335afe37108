"""Folders of class folders of images: what is in them, and their images as arrays.

Nothing in a folder is trusted: links out of it, files that are no images, images that are broken
or claim to be enormous are problems that name the file.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from replicalab.file_errors import InvalidDataset
from replicalab.storage.pictures import form_of, opened, pixels_of

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
FEWEST_OF_A_CLASS = 2
TRAIN, TEST = "train", "test"

Progress = Callable[[int, int], None]
"""Takes (images done, images in all)."""


@dataclass(frozen=True, slots=True)
class LabelledFiles:
    """Files of one split in order of class and name, and their classes."""

    paths: tuple[Path, ...]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """What a folder holds.

    Attributes:
        root: The folder.
        classes: Names of the classes, sorted; a label is a place among them.
        train: Images of ``train``, or all images of a folder without splits.
        test: Images of ``test``; None where there are no splits.
    """

    root: Path
    classes: tuple[str, ...]
    train: LabelledFiles
    test: LabelledFiles | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every image once."""
        return self.train.paths + (self.test.paths if self.test else ())

    def digest(self) -> str:
        """sha256 of the sorted (path within the folder, sha256 of the file) pairs."""
        whole = hashlib.sha256()
        for path in sorted(self.paths):
            name = os.fsencode(path.relative_to(self.root).as_posix())
            whole.update(hashlib.sha256(name).digest())
            with path.open("rb") as body:
                whole.update(hashlib.file_digest(body, "sha256").digest())
        return whole.hexdigest()


def scan(root: Path) -> ImageFolder:
    """List the classes and files of ``root``; opens no image.

    Raises:
        InvalidDataset: It is no folder of class folders, a link leads out of it, a class has
            fewer than two training images, or the splits have other classes.
    """
    if not root.is_dir():
        raise InvalidDataset(f"{root} is not a folder.")
    if not ((root / TRAIN).is_dir() and (root / TEST).is_dir()):
        classes, files = _labelled(root, root, fewest=FEWEST_OF_A_CLASS)
        return ImageFolder(root, classes, files, None)
    classes, train = _labelled(root, root / TRAIN, fewest=FEWEST_OF_A_CLASS)
    test_classes, test = _labelled(root, root / TEST, fewest=1)
    if classes != test_classes:
        apart = sorted(set(classes) ^ set(test_classes))
        raise InvalidDataset(f"Only one of train and test has the classes {', '.join(apart[:10])}.")
    return ImageFolder(root, classes, train, test)


def _labelled(root: Path, folder: Path, *, fewest: int) -> tuple[tuple[str, ...], LabelledFiles]:
    paths: list[Path] = []
    labels: list[int] = []
    folders = list(_entries(root, folder))
    for label, class_folder in enumerate(folders):
        if not class_folder.is_dir():
            raise InvalidDataset(f"{class_folder} is not a folder; every class has one.")
        files = list(_entries(root, class_folder))
        if len(files) < fewest:
            raise InvalidDataset(
                f"{class_folder} holds {len(files)} images; a class needs at least {fewest}."
            )
        paths += files
        labels += [label] * len(files)
    if len(folders) < FEWEST_OF_A_CLASS:
        raise InvalidDataset(f"{folder} holds {len(folders)} class folders; there must be two.")
    names = tuple(class_folder.name for class_folder in folders)
    return names, LabelledFiles(tuple(paths), np.array(labels, dtype=np.int64))


def _entries(root: Path, folder: Path) -> Iterator[Path]:
    """What ``folder`` holds, by name, hidden files left out."""
    for path in sorted(folder.iterdir(), key=lambda entry: os.fsencode(entry.name)):
        if path.name.startswith("."):
            continue
        if not path.resolve().is_relative_to(root.resolve()):
            raise InvalidDataset(f"{path} is a link that leads out of the folder.")
        yield path


def forms_of(paths: Sequence[Path]) -> set[tuple[int, int, bool]]:
    """(width, height, is grey) of every image, from the headers."""
    forms = set()
    for path in paths:
        with opened(path, str(path), FORMATS) as image:
            forms.add(form_of(image))
    return forms


def read_images(
    files: LabelledFiles, *, resolution: int, channels: int, progress: Progress
) -> npt.NDArray[np.uint8]:
    """The images: middle square, resized (Lanczos), grey or RGB, opacity left out.

    Returns:
        uint8, (image, resolution, resolution, channels).

    Raises:
        InvalidDataset: A file is no image, is broken, or is of a form that is not read.
    """
    images = np.empty((len(files), resolution, resolution, channels), dtype=np.uint8)
    for place, path in enumerate(files.paths):
        with opened(path, str(path), FORMATS) as image:
            images[place] = pixels_of(image, resolution=resolution, channels=channels)
        progress(place + 1, len(files))
    return images
