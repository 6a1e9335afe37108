"""Zip archives of class folders, or of ``train`` and ``test`` with class folders each."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image

from replicalab.archives.zips import Archive
from replicalab.file_errors import InvalidDataset
from replicalab.storage.pictures import Form, form_of, opened, pixels_of
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.forms import common_shape
from replicalab_worker.dataset_files.labelled_images import Labelling, Report, Shape

TRAIN, TEST = "train", "test"
IGNORED_FOLDER = "__MACOSX"
"""What macOS adds to archives."""

Path = tuple[str, ...]


class ClassFolders:
    """The images of an archive, by class and name.

    Raises:
        InvalidDataset: The files do not lie in class folders.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        paths = _without_wrapping([path for path in _paths(archive.names) if not _is_hidden(path)])
        paths.sort(key=lambda named: named[0])
        self._names = [name for _, name in paths]
        self.labelling = _labelling([path for path, _ in paths])

    def shape(self, resolution: int | None, report: Report) -> Shape:
        """As the protocol says: from the header of every image."""
        shape = common_shape(self._forms(report), resolution)
        self._archive.rewind()
        return shape

    def pixels(self, place: int, shape: Shape) -> npt.NDArray[np.uint8]:
        """As the protocol says: decoded, so that nothing of the file but pixels is kept."""
        with self._image(place) as image:
            return pixels_of(image, resolution=shape.resolution, channels=shape.channels)

    def _forms(self, report: Report) -> Iterator[Form]:
        for place in range(len(self._names)):
            with self._image(place) as image:
                yield form_of(image)
            report(place + 1, len(self._names), "looking at images")

    @contextmanager
    def _image(self, place: int) -> Iterator[Image.Image]:
        name = self._names[place]
        body = io.BytesIO(self._archive.read(name, limits.MOST_IMAGE_FILE_BYTES))
        with opened(body, name, limits.FORMATS, limits.MOST_PIXELS) as image:
            yield image


def _paths(names: Sequence[str]) -> list[tuple[Path, str]]:
    return [(tuple(name.split("/")), name) for name in names]


def _is_hidden(named: tuple[Path, str]) -> bool:
    path, _ = named
    return path[0] == IGNORED_FOLDER or any(part.startswith(".") for part in path)


def _without_wrapping(paths: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """The paths inside the one folder that holds everything, where there is one."""
    if not paths:
        raise InvalidDataset("The archive holds no images.")
    while all(len(path) > 2 for path, _ in paths) and len({path[0] for path, _ in paths}) == 1:
        paths = [(path[1:], name) for path, name in paths]
    return paths


def _labelling(paths: Sequence[Path]) -> Labelling:
    has_splits = {path[0] for path in paths} == {TRAIN, TEST} and all(
        len(path) == 3 for path in paths
    )
    inside = [path[1:] for path in paths] if has_splits else list(paths)
    for path in inside:
        if len(path) != 2:
            raise InvalidDataset(
                f"{'/'.join(path)} does not lie in a class folder. The archive must hold one "
                "folder a class, or train and test with one folder a class each."
            )
    class_names = tuple(sorted({path[0] for path in inside}))
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = np.array([numbers[path[0]] for path in inside], dtype=np.int64)
    is_test = np.array([path[0] == TEST for path in paths]) if has_splits else None
    return Labelling(class_names, labels, is_test)
