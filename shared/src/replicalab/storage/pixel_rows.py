"""Images that are read a few at a time, whether an array or a folder holds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from replicalab.file_errors import InvalidComparison, InvalidDataset
from replicalab.storage.image_folders import FORMATS
from replicalab.storage.pictures import form_of, opened, whole_pixels_of

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


class Pixels(Protocol):
    """uint8 images, (image, height, width, channel), of which slices are taken."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(image, height, width, channel)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[np.uint8]: ...


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Image files of one size, read whenever they are asked for.

    Attributes:
        paths: In order.
        shape: (image, height, width, channel).
    """

    paths: Sequence[Path]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice, /) -> npt.NDArray[np.uint8]:
        """The images of ``rows``; raises ``InvalidDataset`` where a file is broken."""
        return np.stack([self._read(path) for path in self.paths[rows]])

    def _read(self, path: Path) -> npt.NDArray[np.uint8]:
        with opened(path, str(path), FORMATS) as image:
            return whole_pixels_of(image, channels=self.shape[-1])


def image_files(folder: Path) -> ImageFiles:
    """Every image below ``folder``, in order of path; reads headers only.

    Grey where all are grey, else RGB. Files with other suffixes and hidden ones are left out.

    Raises:
        InvalidComparison: There are no images, a file is none, or sizes differ.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not paths:
        raise InvalidComparison(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))}).")
    first_of_size: dict[tuple[int, int], Path] = {}
    is_grey = True
    for path in paths:
        width, height, is_this_grey = _form_of_file(path)
        first_of_size.setdefault((width, height), path)
        is_grey = is_grey and is_this_grey
    if len(first_of_size) > 1:
        examples = [f"{path} has {w} x {h}" for (w, h), path in first_of_size.items()]
        raise InvalidComparison(
            f"Images of {folder} have {len(examples)} sizes: {', '.join(examples[:3])}. Resize "
            "them alike: the way it is done moves every value."
        )
    ((width, height),) = first_of_size
    return ImageFiles(paths, (len(paths), height, width, 1 if is_grey else 3))


def _form_of_file(path: Path) -> tuple[int, int, bool]:
    try:
        with opened(path, str(path), FORMATS) as image:
            return form_of(image)
    except InvalidDataset as error:
        raise InvalidComparison(error.detail) from error
