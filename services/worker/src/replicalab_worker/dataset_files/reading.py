"""Uploaded files, whatever their format: told by their first bytes, never by their names."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from replicalab.archives.zips import SIGNATURE, Archive
from replicalab.file_errors import InvalidDataset
from replicalab_worker.dataset_files import limits, parquet_files
from replicalab_worker.dataset_files.array_files import ArrayFile, is_array_file
from replicalab_worker.dataset_files.class_folders import ClassFolders
from replicalab_worker.dataset_files.labelled_images import LabelledImages

SIGNATURE_BYTES = 8


@contextmanager
def labelled_images(file: BinaryIO) -> Iterator[LabelledImages]:
    """The images in ``file``, for as long as the context lasts.

    Raises:
        InvalidDataset: It is of no format that is read, or not what its format asks for.
    """
    start = file.read(SIGNATURE_BYTES)
    file.seek(0)
    with ExitStack() as held:
        if start.startswith(SIGNATURE):
            archive = Archive(file, limits.of_archives())
            yield ArrayFile(archive, held) if is_array_file(archive) else ClassFolders(archive)
        elif start.startswith(parquet_files.SIGNATURE):
            yield parquet_files.ParquetFile(file, held)
        else:
            raise InvalidDataset(
                "The file is neither a zip archive of class folders, nor an npz of images and "
                "labels, nor Parquet."
                if start
                else "The file is empty."
            )
