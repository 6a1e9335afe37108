"""Errors of files that people bring, and of stored ones that are lost.

The tree and its families are in ``replicalab.errors``.
"""

from replicalab.errors import ArtifactCorrupt, InvalidRequest


class FileUnavailable(InvalidRequest):
    """A file that the specification needs is not where the worker looks, or is another file."""

    slug = "file-unavailable"
    title = "A file is missing on the worker"
    remedy = (
        "Put the file that the detail names into the folder it names, on every machine that runs "
        "a worker, or let workers download it (`REPLICALAB_DATASETS__MAY_DOWNLOAD` and "
        "`REPLICALAB_WEIGHTS__MAY_DOWNLOAD`); then submit again."
    )


class WeightsUnavailable(FileUnavailable):
    """Published weights are not in the worker's weights folder, or are others than asked for."""

    slug = "weights-unavailable"
    title = "The weights are not available"


class DatasetUnavailable(FileUnavailable):
    """The files of a data set are not in the worker's data folder, or not those it is made of."""

    slug = "dataset-unavailable"
    title = "The data set is not available"


class InvalidDataset(InvalidRequest):
    """A folder of images is not a data set, or not the one that the specification describes."""

    slug = "invalid-dataset"
    title = "The folder of images is not the data set described"
    remedy = (
        "Correct the files that the detail names, or take the specification that "
        "`replicalab datasets describe FOLDER` prints of the folder as it is now."
    )


class ArtifactMissing(ArtifactCorrupt):
    """Bytes that were stored are not there any more, or are fewer than were stored."""

    slug = "artifact-missing"
    title = "The stored artifact is lost"
    remedy = ArtifactCorrupt.remedy
