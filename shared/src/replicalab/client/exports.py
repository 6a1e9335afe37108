"""Experiments as archives that are readable without a service; ``Lab.exports``."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode
from uuid import UUID

from replicalab.client.addresses import ROOT, ExperimentLike, experiment_path
from replicalab.client.imports import UPLOAD_SECONDS
from replicalab.client.imports import no_report as no_upload_report
from replicalab.client.transport import Transport, is_temporary
from replicalab.client.uploads import Report as UploadReport
from replicalab.client.uploads import plain_upload
from replicalab.crates.reading import ExportArchive
from replicalab.domain.exports import Included
from replicalab.domain.resources import ExperimentRead
from replicalab.errors import InvalidRequest, ReplicaLabError

Report = Callable[[int], None]
"""Called with the bytes that have arrived."""


def no_report(_arrived: int) -> None:
    """Nobody asked how far it is."""


def verify(path: str | Path) -> ExportArchive:
    """Read an archive without any service; returns what it says, with its file closed.

    Raises:
        InvalidExport: It is damaged, or contradicts itself; the detail says where.
        InvalidRequest: There is no such file.
    """
    if not Path(path).is_file():
        raise InvalidRequest(f"There is no file {path}.")
    with Path(path).open("rb") as file:
        return ExportArchive(file)


class Exports:
    """Archives of experiments that have ended. ``Lab.exports`` has one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def save(
        self,
        experiment: ExperimentLike,
        path: str | Path,
        *,
        artifacts: Included | str = Included.RESULTS,
        licence: str | None = None,
        on_progress: Report = no_report,
    ) -> Path:
        """Write the archive of an experiment to a file, which appears when it is whole.

        What arrives is verified as by ``verify``. An archive that breaks off is begun anew while
        the service comes back.

        Args:
            experiment: Which; it has ended.
            path: The file, replaced if there is one.
            artifacts: ``none`` but the report and its figures; ``results``, which leaves out
                image sets and weights; or ``all``.
            licence: Under which the results may be used; the archive says so.
            on_progress: Called with the bytes that have arrived.

        Returns:
            The file.

        Raises:
            ExperimentUnfinished: It has not ended.
            ArtifactCorrupt: The service has lost the bytes of an artifact.
        """
        query = {"artifacts": Included(artifacts).value}
        if licence is not None:
            query["licence"] = licence
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                self._receive(experiment, query, file, on_progress)
                ExportArchive(file)
            temporary.chmod(0o644)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def import_file(
        self,
        path: str | Path,
        *,
        project: UUID | str | None = None,
        on_progress: UploadReport = no_upload_report,
    ) -> ExperimentRead:
        """Bring an archive into this service; the experiment then looks as where it ran.

        The same archive again gives the same experiment.

        Args:
            path: The archive.
            project: Id of a project; else the default one.
            on_progress: Called with bytes sent and bytes in all.

        Raises:
            InvalidExport: It is damaged or contradicts itself, or is of another version.
            InvalidRequest: There is no such file.
        """
        upload = plain_upload(Path(path))
        response = self._transport.send(
            "POST",
            f"{ROOT}:import",
            params={} if project is None else {"project": str(project)},
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(upload.size_bytes),
            },
            content=upload.pieces(on_progress),
            timeout_seconds=UPLOAD_SECONDS,
            is_repeatable=False,
        )
        return ExperimentRead.model_validate_json(response.content)

    def _receive(
        self,
        experiment: ExperimentLike,
        query: Mapping[str, str],
        file: BinaryIO,
        on_progress: Report,
    ) -> None:
        path = experiment_path(experiment, f"/export?{urlencode(query)}")
        waiting = self._transport.backoff.begin()
        while True:
            file.seek(0)
            file.truncate()
            try:
                with self._transport.stream(path, {"Accept-Encoding": "identity"}) as response:
                    for chunk in response.iter_raw():
                        file.write(chunk)
                        on_progress(file.tell())
            except ReplicaLabError as error:
                if not is_temporary(error) or not waiting.wait():
                    raise
            else:
                return
