"""Errors of files that people bring; the tree and its families are in ``replicalab.errors``."""

from replicalab.errors import InvalidRequest


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
