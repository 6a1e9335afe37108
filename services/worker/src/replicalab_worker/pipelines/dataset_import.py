"""Importing a data set from a file that somebody brought."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from replicalab.domain import artifacts
from replicalab.domain.dataset_resources import DatasetForm
from replicalab.domain.datasets import DatasetRecipe
from replicalab.domain.tasks import ImportDataset
from replicalab.engine.handlers import TaskContext
from replicalab.errors import OutOfMemory
from replicalab.file_errors import ArchiveLimits
from replicalab.planning.keys import canonical_json
from replicalab.storage.image_set_files import write_image_set
from replicalab.storage.scratch import check_room
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.labelled_images import LabelledImages, Places, Shape
from replicalab_worker.dataset_files.reading import labelled_images
from replicalab_worker.pipelines.pace import Pace
from replicalab_worker.runtime.memory import bounded_growth

LOOKING_SHARE = 0.3
"""Of the time, roughly: reading every header before any pixel."""


class DatasetImport:
    """Handler of ``import-dataset``.

    Args:
        memory_bytes: What reading a file may add to this process; more ends the task, not the
            worker.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes

    def __call__(self, context: TaskContext, params: ImportDataset) -> None:
        """Write both splits and what they are; nothing before all of it has been read.

        Raises:
            InvalidDataset: The file is not a data set; the detail says what was found.
            OutOfMemory: Reading it takes more memory than that.
        """
        # Libraries are loaded before memory is bounded, and by no child that imports no data set.
        from replicalab_worker.dataset_files.splits import split  # noqa: PLC0415

        try:
            with bounded_growth(self._memory_bytes), ExitStack() as held:
                file = held.enter_context(context.open_file(params.file))
                images = held.enter_context(labelled_images(file))
                places = split(images.labelling, params.recipe)
                _Import(context, images, held).run(places, params.recipe)
        except MemoryError as error:
            raise OutOfMemory(
                f"Reading the file takes more than {self._memory_bytes:,} bytes of memory "
                "(REPLICALAB_IMPORT_MEMORY_BYTES)."
            ) from error


class _Import:
    def __init__(self, context: TaskContext, images: LabelledImages, held: ExitStack) -> None:
        self._context = context
        self._images = images
        self._held = held
        self._pace = Pace()

    def run(self, places: tuple[Places, Places], recipe: DatasetRecipe) -> None:
        labelling = self._images.labelling
        shape = self._images.shape(recipe.resolution, self._looking)
        _check_size(sum(map(len, places)), shape)
        train, test = (self._written(part, shape, first) for part, first in self._parts(places))
        counts = [
            tuple(
                np.bincount(labelling.labels[part], minlength=len(labelling.class_names)).tolist()
            )
            for part in places
        ]
        form = DatasetForm(
            version=_version(train, test, labelling.class_names),
            class_names=labelling.class_names,
            train_counts=counts[0],
            test_counts=counts[1],
            resolution=shape.resolution,
            channels=shape.channels,
            has_own_split=labelling.is_test is not None,
        )
        self._context.write_file(artifacts.TRAIN_IMAGES, train, artifacts.NPZ)
        self._context.write_file(artifacts.TEST_IMAGES, test, artifacts.NPZ)
        body = canonical_json(form.model_dump(mode="json"))
        self._context.write(artifacts.DATASET_DESCRIPTION, body, artifacts.JSON)

    def _parts(self, places: tuple[Places, Places]) -> Iterator[tuple[Places, int]]:
        """Each split, and how many images were read before it."""
        train, test = places
        yield train, 0
        yield test, len(train)

    def _written(self, places: Places, shape: Shape, first: int) -> BinaryIO:
        """The set of these images as a temporary file."""
        file = self._held.enter_context(TemporaryFile())  # noqa: SIM115 (closed by the stack)
        size = (shape.resolution, shape.resolution, shape.channels)
        labels = self._images.labelling.labels[places]
        write_image_set(file, self._pixels(places, shape, first), size, labels)
        return file

    def _pixels(self, places: Places, shape: Shape, first: int) -> Iterator[npt.NDArray[np.uint8]]:
        total = len(self._images.labelling.labels)
        for number, place in enumerate(places, start=first + 1):
            yield self._images.pixels(int(place), shape)
            self._report(LOOKING_SHARE + (1 - LOOKING_SHARE) * number / total, "reading images")

    def _looking(self, done: int, total: int, stage: str) -> None:
        self._report(LOOKING_SHARE * done / max(total, 1), stage)

    def _report(self, share: float, stage: str) -> None:
        if self._pace.is_due():
            self._context.progress(share, 1, stage)


def _check_size(images: int, shape: Shape) -> None:
    size_bytes = images * shape.size_bytes
    if size_bytes > limits.MOST_DECODED_BYTES:
        raise ArchiveLimits(
            f"{images:,} images of {shape.resolution} x {shape.resolution} x {shape.channels} are "
            f"{size_bytes:,} bytes; at most {limits.MOST_DECODED_BYTES:,} are read. Give a smaller "
            "resolution, or bring fewer images."
        )
    check_room(size_bytes)


def _version(train: BinaryIO, test: BinaryIO, class_names: tuple[str, ...]) -> str:
    """sha256 of what the two sets and the class names are."""
    digests = []
    for file in (train, test):
        digest = hashlib.sha256()
        file.seek(0)
        for piece in iter(lambda: file.read(2**20), b""):  # noqa: B023 (used up at once)
            digest.update(piece)
        digests.append(digest.hexdigest())
    whole = {"train": digests[0], "test": digests[1], "class_names": class_names}
    return hashlib.sha256(canonical_json(whole)).hexdigest()
