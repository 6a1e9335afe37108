"""Downloads of public files: the only place where a worker speaks to the world."""

from typing import BinaryIO

import httpx

from replicalab.file_errors import FileUnavailable
from replicalab_worker.pipelines.pinned_files import (
    CHUNK_BYTES,
    FetchFailed,
    PinnedFolder,
    Report,
)
from replicalab_worker.settings import DatasetSettings, WeightsSettings

TIMEOUT_SECONDS = 60.0
"""Of silence; a large file may take as long as it needs."""


def folder_of(
    settings: DatasetSettings | WeightsSettings, problem: type[FileUnavailable]
) -> PinnedFolder:
    """The folder that ``settings`` name, whose missing files are fetched where they may be."""
    return PinnedFolder(settings.folder, problem, fetch if settings.may_download else None)


def fetch(url: str, target: BinaryIO, report: Report) -> None:
    """Write what ``url`` gives into ``target``.

    Raises:
        FetchFailed: The server cannot be reached, refuses, or stops halfway.
    """
    name = url.rpartition("/")[2]
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT_SECONDS, follow_redirects=True) as answer:
            answer.raise_for_status()
            expected = float(answer.headers.get("Content-Length", 0))
            for chunk in answer.iter_raw(CHUNK_BYTES):
                target.write(chunk)
                done = answer.num_bytes_downloaded
                report(done, max(expected, done), f"downloading {name}")
    except httpx.HTTPError as error:
        raise FetchFailed(str(error) or type(error).__name__) from error
