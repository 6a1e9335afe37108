"""Errors of files that people bring, and of stored ones that are lost.

The tree and its families are in ``replicalab.errors``.
"""

from replicalab.errors import ArtifactCorrupt, Conflict, InvalidRequest, NotFound


def _put_or_download(*variables: str) -> str:
    permitted = " and ".join(f"`{variable}`" for variable in variables)
    return (
        "Put the file that the detail names into the folder it names, on every machine that runs "
        "a worker and, for `replicalab measure`, on this one; or have it downloaded "
        f"({permitted}). Then try again."
    )


class FileUnavailable(InvalidRequest):
    """A file that the specification needs is not where the worker looks, or is another file."""

    slug = "file-unavailable"
    title = "A file is missing on the worker"
    remedy = _put_or_download(
        "REPLICALAB_DATASETS__MAY_DOWNLOAD", "REPLICALAB_WEIGHTS__MAY_DOWNLOAD"
    )


class WeightsUnavailable(FileUnavailable):
    """Published weights are not in the worker's weights folder, or are others than asked for."""

    slug = "weights-unavailable"
    title = "The weights are not available"
    remedy = _put_or_download("REPLICALAB_WEIGHTS__MAY_DOWNLOAD")


class DatasetUnavailable(FileUnavailable):
    """The files of a data set are not in the worker's data folder, or not those it is made of."""

    slug = "dataset-unavailable"
    title = "The data set is not available"
    remedy = _put_or_download("REPLICALAB_DATASETS__MAY_DOWNLOAD")


class InvalidDataset(InvalidRequest):
    """Images in a folder or an uploaded file are not a data set, or not the one described."""

    slug = "invalid-dataset"
    title = "This is not the data set described"
    remedy = (
        "Correct what the detail names, and import the file again; for a folder, take the "
        "specification that `replicalab datasets describe FOLDER` prints of it as it is now."
    )


class InvalidComparison(InvalidRequest):
    """Two sets that `replicalab measure` was given are no image sets, or are not alike enough."""

    slug = "invalid-comparison"
    title = "These two sets cannot be compared"
    remedy = (
        "Give two folders of images, two arrays of uint8 images or two arrays of features, made "
        "alike; the detail says what was found. docs/measures.md says what is read."
    )


class ArchiveLimits(InvalidDataset):
    """An uploaded file would unpack to more than is read: entries, bytes, ratio or depth."""

    slug = "archive-limits"
    title = "The file unpacks to too much"
    remedy = (
        "Pack the images once, as they are, without archives inside; the limits are in "
        "docs/datasets.md. Split or scale down a data set that is really larger."
    )


class UnsafeArchivePath(InvalidDataset):
    """An entry of an archive is no plain file under a plain name of its own."""

    slug = "unsafe-archive-path"
    title = "The archive holds an unsafe path"
    remedy = (
        "Pack a folder of class folders with plain files: no links, no absolute paths, no `..`, no "
        "name twice, none that differs from another in capitals alone."
    )


class ImageLimits(InvalidDataset):
    """An image claims more pixels than is read."""

    slug = "image-limits"
    title = "An image is too large"
    remedy = "Scale the image that the detail names down, or leave it out."


class InvalidExport(InvalidRequest):
    """A file is not the archive of an experiment, or not as it was when it was exported."""

    slug = "invalid-export"
    title = "This is not an exported experiment as it was"
    remedy = (
        "Export the experiment again and take the file as it comes, not unpacked and packed anew. "
        "`replicalab verify FILE` says the same without a service. An archive of another version "
        "of ReplicaLab may need that version."
    )


class UnknownDataset(InvalidRequest):
    """The specification names a data set that the project does not have, or not in this version."""

    slug = "unknown-dataset"
    title = "No such data set"
    remedy = (
        "Use a data set that the detail lists (`replicalab datasets list` shows them), or import "
        "it; leave `version` and `contents` out to take what the name stands for now."
    )


class ArtifactMissing(ArtifactCorrupt):
    """Bytes that were stored are not there any more, or are fewer than were stored."""

    slug = "artifact-missing"
    title = "The stored artifact is lost"
    remedy = ArtifactCorrupt.remedy


class UploadNotFound(NotFound):
    """No upload has this id, or it is somebody else's, or it was aborted or imported."""

    slug = "upload-not-found"
    title = "Upload not found"
    remedy = "Begin one with `POST /v1/uploads`; the SDK does so for large files by itself."


class UploadExpired(Conflict):
    """The upload was not finished and imported in time, or the store has lost its parts."""

    slug = "upload-expired"
    title = "The upload has expired"
    remedy = "Begin it anew with `POST /v1/uploads`, or send the file again with SDK or CLI."


class UploadIncomplete(Conflict):
    """Parts of the upload are missing, or it was not completed before it was to be imported."""

    slug = "upload-incomplete"
    title = "The upload is not complete"
    remedy = (
        "Send the parts that `missing` lists, then `POST /v1/uploads/{id}:complete`; sending the "
        "same file again with SDK or CLI goes on from what has arrived."
    )


class UploadMismatch(InvalidRequest):
    """The bytes that were sent are not those that were declared; they are not kept."""

    slug = "upload-mismatch"
    title = "Other bytes came than were declared"
    remedy = "Send the file again; it must not change while it is sent."


class TooManyUploads(Conflict):
    """The user has as many uploads that are not imported yet as anybody may have."""

    slug = "too-many-uploads"
    title = "Too many uploads at once"
    remedy = "Finish uploads that `uploads` lists, or give them up with `DELETE /v1/uploads/{id}`."
