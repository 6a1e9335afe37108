"""npz files of images and labels, with or without a split of their own."""

from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from replicalab.archives.zips import Archive
from replicalab.file_errors import ArchiveLimits, InvalidDataset
from replicalab.storage.pictures import pixels_of
from replicalab.storage.scratch import check_room
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.forms import common_shape
from replicalab_worker.dataset_files.labelled_images import Labelling, Report, Shape
from replicalab_worker.dataset_files.npy_members import NpyMember, npy_member

CLASSES = "classes"
WHOLE = ("images", "labels")
SPLITS = (("train_images", "train_labels"), ("test_images", "test_labels"))
ENDING = ".npy"


class ArrayFile:
    """The images of an npz: ``images`` and ``labels``, or both of ``train_`` and of ``test_``.

    ``images`` are uint8 (image, height, width) or (image, height, width, 1 or 3); ``labels`` are
    integers from 0, every one in use; ``classes``, if there, are as many texts.

    Args:
        archive: The npz.
        held: Keeps the temporary files of the images open.

    Raises:
        InvalidDataset: An array is missing, foreign, or not of this form.
        ArchiveLimits: The arrays claim too much.
    """

    def __init__(self, archive: Archive, held: ExitStack) -> None:
        self._archive, self._held = archive, held
        pairs = _pairs(archive)
        self._members = [npy_member(archive, images) for images, _ in pairs]
        forms = {_check_form(member) for member in self._members}
        if len(forms) > 1:
            raise InvalidDataset("Images for training and for testing have different shapes.")
        ((self._height, self._width, self._channels),) = forms
        labels = [
            _labels(npy_member(archive, name), member)
            for (_, name), member in zip(pairs, self._members, strict=True)
        ]
        self._files: list[BinaryIO] = []
        self.labelling = Labelling(
            _class_names(archive, labels),
            np.concatenate(labels),
            np.repeat([False, True], [len(part) for part in labels]) if len(pairs) > 1 else None,
        )

    def shape(self, resolution: int | None, report: Report) -> Shape:
        """As the protocol says: all images of an array are of one size."""
        form = (self._width, self._height, self._channels == 1)
        shape = common_shape([form], resolution)
        check_room(sum(member.size_bytes for member in self._members))
        self._files = [self._unpacked(member, report) for member in self._members]
        return shape

    def pixels(self, place: int, shape: Shape) -> npt.NDArray[np.uint8]:
        """As the protocol says: read from the temporary file."""
        first = self._members[0].shape[0]
        file, row = (self._files[0], place) if place < first else (self._files[1], place - first)
        size_bytes = self._height * self._width * self._channels
        file.seek(row * size_bytes)
        image = np.frombuffer(file.read(size_bytes), dtype=np.uint8)
        image = image.reshape(self._height, self._width, self._channels)
        if image.shape[:2] == (shape.resolution, shape.resolution):
            return image
        picture = Image.fromarray(image[..., 0] if self._channels == 1 else image)
        return pixels_of(picture, resolution=shape.resolution, channels=shape.channels)

    def _unpacked(self, member: NpyMember, report: Report) -> BinaryIO:
        file = self._held.enter_context(TemporaryFile())  # noqa: SIM115 (closed by the stack)
        for piece in member.pieces():
            file.write(piece)
            report(file.tell(), member.size_bytes, f"unpacking {member.name}")
        return file


def is_array_file(archive: Archive) -> bool:
    """Whether an archive is an npz: nothing but arrays, none of them in a folder."""
    names = archive.names
    return bool(names) and all(name.endswith(ENDING) and "/" not in name for name in names)


def _pairs(archive: Archive) -> list[tuple[str, str]]:
    found = {name.removesuffix(ENDING) for name in archive.names} - {CLASSES}
    for pairs in ([WHOLE], list(SPLITS)):
        if found == {name for pair in pairs for name in pair}:
            return pairs
    listed = ", ".join(sorted(found)[:10]) or "nothing"
    raise InvalidDataset(
        "The npz must hold images and labels, or train_images, train_labels, test_images and "
        f"test_labels, and may hold classes; it holds {listed}."
    )


def _check_form(member: NpyMember) -> tuple[int, int, int]:
    """Height, width and channels."""
    expected = "uint8 of the shape (image, height, width, 1 or 3)"
    shape = member.shape if len(member.shape) == 4 else (*member.shape, 1)
    if member.dtype != np.uint8 or len(shape) != 4 or shape[3] not in {1, 3} or 0 in shape:
        hint = ""
        if len(member.shape) == 4 and member.shape[1] in {1, 3}:
            hint = f"; move the channels last: {member.name}.transpose(0, 2, 3, 1)"
        elif member.dtype.kind == "f":
            hint = "; scale the values to 0 to 255 and round them"
        raise InvalidDataset(
            f"{member.name} must be {expected}, not {member.dtype} of {member.shape}{hint}."
        )
    if shape[0] > limits.MOST_IMAGES:
        raise ArchiveLimits(f"{member.name} has more than {limits.MOST_IMAGES:,} images.")
    member.check_size(limits.MOST_DECODED_BYTES)
    return shape[1], shape[2], shape[3]


def _labels(member: NpyMember, images: NpyMember) -> npt.NDArray[np.int64]:
    if member.dtype.kind not in "iu" or member.shape != images.shape[:1]:
        raise InvalidDataset(
            f"{member.name} must be {images.shape[0]:,} integers, one an image, not "
            f"{member.dtype} of {member.shape}."
        )
    values = member.values(limits.MOST_IMAGES * 8)
    if len(values) and (values.min() < 0 or values.max() >= limits.MOST_CLASSES):
        raise InvalidDataset(
            f"{member.name} must lie in 0 to {limits.MOST_CLASSES - 1}; they lie in "
            f"{values.min()} to {values.max()}."
        )
    return values.astype(np.int64)


def _class_names(archive: Archive, labels: list[npt.NDArray[np.int64]]) -> tuple[str, ...]:
    highest = max((int(part.max()) for part in labels if len(part)), default=-1)
    if CLASSES + ENDING not in archive.names:
        return tuple(str(number) for number in range(highest + 1))
    names = npy_member(archive, CLASSES).texts(limits.MOST_CLASSES * 4 * 1000)
    if highest >= len(names):
        raise InvalidDataset(
            f"There are {len(names)} classes and the label {highest}; labels count from 0."
        )
    return names
