"""Parquet files in the form that Hugging Face gives image data sets: ``image`` and ``label``.

``image`` is a struct of ``bytes`` and ``path``; the path is never looked at. Read by pyarrow in
batches of a few rows, whose images go to a temporary file first.
"""

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from replicalab.file_errors import ArchiveLimits, InvalidDataset
from replicalab.storage.pictures import form_of, opened, pixels_of
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.forms import common_shape
from replicalab_worker.dataset_files.labelled_images import Labelling, Report, Shape
from replicalab_worker.dataset_files.spools import Spool

SIGNATURE = b"PAR1"
IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img"), ("label",)
FIELDS = {"bytes", "path"}
BATCH_ROWS = 4
"""A few large images, repeated by reference, are a bomb; so many at once fit into memory."""

LABEL_ROWS = 65_536
BUFFER_BYTES = 2**20
TAIL_BYTES = 8
"""At the end of a file: the length of the footer, and the signature again."""


class ParquetFile:
    """The images of a Parquet file; it brings no split of its own.

    Args:
        file: The file; it is read as long as this is used.
        held: Keeps the temporary file of the images open.

    Raises:
        InvalidDataset: It is broken, or has other columns than ``image`` and ``label``.
        ArchiveLimits: It claims too much.
    """

    def __init__(self, file: BinaryIO, held: ExitStack) -> None:
        _check_footer(file)
        pa.set_memory_pool(pa.system_memory_pool())  # others reserve more than they need
        with _refusals_named():
            self._parquet = pq.ParquetFile(
                file,
                buffer_size=BUFFER_BYTES,
                pre_buffer=False,
                thrift_string_size_limit=limits.MOST_DIRECTORY_BYTES,
                thrift_container_size_limit=limits.MOST_DIRECTORY_BYTES,
            )
            self._image, label = _columns(self._parquet.schema_arrow)
        _check_claims(self._parquet.metadata)
        labels = self._labels(label)
        names = _class_names(self._parquet.schema_arrow, label, labels)
        self.labelling = Labelling(names, labels, None)
        self._spool = Spool(held)

    def shape(self, resolution: int | None, report: Report) -> Shape:
        """As the protocol says: from the header of every image, once all are spooled."""
        total = len(self.labelling.labels)
        for body in self._bodies():
            self._spool.add(body)
            report(len(self._spool), 2 * total, "unpacking images")
        return common_shape(self._forms(report), resolution)

    def pixels(self, place: int, shape: Shape) -> npt.NDArray[np.uint8]:
        """As the protocol says: decoded, so that nothing of the file but pixels is kept."""
        with opened(
            io.BytesIO(self._spool[place]), _row(place), limits.FORMATS, limits.MOST_PIXELS
        ) as image:
            return pixels_of(image, resolution=shape.resolution, channels=shape.channels)

    def _forms(self, report: Report) -> Iterator[tuple[int, int, bool]]:
        total = len(self._spool)
        for place in range(total):
            body = io.BytesIO(self._spool[place])
            with opened(body, _row(place), limits.FORMATS, limits.MOST_PIXELS) as image:
                yield form_of(image)
            report(total + place + 1, 2 * total, "looking at images")

    def _bodies(self) -> Iterator[bytes]:
        place = 0
        for column in self._batches(f"{self._image}.bytes", BATCH_ROWS):
            for value in column.field(0):
                body = value.as_py()
                if not body:
                    raise InvalidDataset(
                        f"{_row(place)} holds no bytes; embed the images, paths are not followed."
                    )
                yield body
                place += 1

    def _labels(self, name: str) -> npt.NDArray[np.int64]:
        parts = [np.empty(0, dtype=np.int64)]
        for column in self._batches(name, LABEL_ROWS):
            if column.null_count:
                raise InvalidDataset(f"{name} must be an integer for every image; some are null.")
            parts.append(column.to_numpy(zero_copy_only=False))
        if not all(
            len(part) == 0 or 0 <= part.min() <= part.max() < limits.MOST_CLASSES for part in parts
        ):
            raise InvalidDataset(f"{name} must lie in 0 to {limits.MOST_CLASSES - 1}.")
        return np.concatenate(parts, dtype=np.int64)

    def _batches(self, column: str, rows: int) -> Iterator[Any]:
        with _refusals_named():
            batches = self._parquet.iter_batches(rows, columns=[column], use_threads=False)
        while True:
            with _refusals_named():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch.column(0)


def _row(place: int) -> str:
    return f"The image of row {place:,}"


def _check_footer(file: BinaryIO) -> None:
    """Refuse a footer that is longer than is read: it is read in one piece."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(0, end - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    file.seek(0)
    if len(tail) < TAIL_BYTES or not tail.endswith(SIGNATURE):
        raise InvalidDataset("The Parquet file is truncated.")
    length = int.from_bytes(tail[:4], "little")
    if length > limits.MOST_DIRECTORY_BYTES:
        raise ArchiveLimits(
            f"The footer of the Parquet file says that it has {length:,} bytes; at most "
            f"{limits.MOST_DIRECTORY_BYTES:,} are read."
        )


def _columns(schema: pa.Schema) -> tuple[str, str]:
    """Names of the columns of images and of labels."""
    images = [name for name in schema.names if name in IMAGE_COLUMNS]
    labels = [name for name in schema.names if name in LABEL_COLUMNS]
    foreign = sorted(set(schema.names) - set(images) - set(labels))
    if len(images) != 1 or len(labels) != 1 or foreign:
        listed = ", ".join(name[:40] for name in schema.names[:10])
        raise InvalidDataset(
            "The Parquet file must have the columns image and label and no others; it has "
            f"{listed or 'none'}."
        )
    image, label = schema.field(images[0]).type, schema.field(labels[0]).type
    if not (pa.types.is_struct(image) and {field.name for field in image} == FIELDS):
        raise InvalidDataset(f"{images[0]} must be a struct of bytes and path, not {image}.")
    if image.num_fields != len(FIELDS) or not (
        pa.types.is_binary(image.field("bytes").type)
        or pa.types.is_large_binary(image.field("bytes").type)
    ):
        raise InvalidDataset(f"The bytes of {images[0]} must be binary.")
    if not pa.types.is_integer(label):
        raise InvalidDataset(f"{labels[0]} must be integers, not {label}.")
    return images[0], labels[0]


def _check_claims(metadata: pq.FileMetaData) -> None:
    if metadata.num_rows > limits.MOST_ENTRIES:
        raise ArchiveLimits(
            f"The Parquet file has {metadata.num_rows:,} rows; at most {limits.MOST_ENTRIES:,} "
            "are read."
        )
    for number in range(metadata.num_row_groups):
        claimed = metadata.row_group(number).total_byte_size
        if not 0 <= claimed <= limits.MOST_UNPACKED_BYTES:
            raise ArchiveLimits(
                f"Row group {number} claims {claimed:,} bytes; at most "
                f"{limits.MOST_UNPACKED_BYTES:,} are read."
            )


def _class_names(schema: pa.Schema, label: str, labels: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Those that Hugging Face's metadata give; numbers where they give none."""
    highest = int(labels.max()) if len(labels) else -1
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])
        names = told["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        names = [str(number) for number in range(highest + 1)]
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise InvalidDataset(f"The names of {label} in the metadata are not texts.")
    if highest >= len(names):
        raise InvalidDataset(
            f"There are {len(names)} classes and the label {highest}; labels count from 0."
        )
    return tuple(names)


@contextmanager
def _refusals_named() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).partition("\n")[0][:300]
        raise InvalidDataset(f"The Parquet file cannot be read: {reason}") from error
