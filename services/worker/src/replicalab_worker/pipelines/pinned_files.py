"""Public files named by their digest: found in a folder, or fetched into it, never trusted."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol

from replicalab.file_errors import FileUnavailable

CHUNK_BYTES = 1 << 20

Report = Callable[[float, float, str], None]
"""Takes (done, total, stage); may raise to stop what is under way."""


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file that is what it is by its digest.

    Attributes:
        name: Its name in the folder.
        sha256: Its digest.
        url: Where its authors publish it.
    """

    name: str
    sha256: str
    url: str


class FetchFailed(Exception):
    """A file could not be fetched; the text says why."""


class Fetch(Protocol):
    """Writes what ``url`` gives into ``target``; raises ``FetchFailed`` where it gives nothing."""

    def __call__(self, url: str, target: BinaryIO, report: Report) -> None: ...


@dataclass(frozen=True, slots=True)
class PinnedFolder:
    """A folder of pinned files.

    Attributes:
        folder: Where they lie.
        problem: What is raised where a file cannot be had.
        fetch: How missing files are fetched; None where they must not be.
    """

    folder: Path
    problem: type[FileUnavailable]
    fetch: Fetch | None = None

    def path_of(self, file: PinnedFile, report: Report) -> Path:
        """The path of ``file``, its digest checked.

        Raises:
            FileUnavailable: It is missing, cannot be fetched, or has another digest.
        """
        path = self.folder / file.name
        if not path.is_file():
            self._fetch(file, path, report)
        found = _digest_of(path, file.name, report)
        if found != file.sha256:
            raise self._unavailable(file, f"is another file (sha256 {found})")
        return path

    def _fetch(self, file: PinnedFile, path: Path, report: Report) -> None:
        """Fetch ``file`` to ``path``, where it appears whole and right or not at all."""
        if self.fetch is None:
            raise self._unavailable(file, "is missing, and nothing may be downloaded")
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder, prefix=".part-") as folder:
            part = Path(folder) / file.name
            try:
                with part.open("wb") as target:
                    self.fetch(file.url, target, report)
            except FetchFailed as failure:
                raise self._unavailable(file, f"could not be fetched ({failure})") from failure
            found = _digest_of(part, file.name, report)
            if found != file.sha256:
                raise self._unavailable(file, f"came as another file (sha256 {found})")
            part.replace(path)

    def _unavailable(self, file: PinnedFile, what: str) -> FileUnavailable:
        return self.problem(
            f"{file.name} {what}. Put the file with sha256 {file.sha256} into {self.folder}; "
            f"it is published at {file.url}.",
            file=file.name,
            sha256=file.sha256,
            folder=str(self.folder),
            url=file.url,
        )


def _digest_of(path: Path, name: str, report: Report) -> str:
    digest = hashlib.sha256()
    total = path.stat().st_size
    with path.open("rb") as body:
        while chunk := body.read(CHUNK_BYTES):
            digest.update(chunk)
            report(body.tell(), total, f"checking {name}")
    return digest.hexdigest()
