"""Artifacts to files: resumed when the line breaks, verified before they appear."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import httpx

from replicalab.client.transport import Transport, is_temporary
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.resources import ArtifactRead
from replicalab.errors import ArtifactCorrupt, ArtifactNotFound, ReplicaLabError, ServiceUnreachable


def one_called(name: str, artifacts: Iterable[ArtifactRead]) -> ArtifactRead:
    """The only one of ``artifacts`` with this name; raises ``ArtifactNotFound``."""
    found = [artifact for artifact in artifacts if artifact.name == name]
    if len(found) != 1:
        raise ArtifactNotFound(f"{len(found)} artifacts of the experiment are called {name!r}.")
    return found[0]


def download(transport: Transport, path: str, ref: ArtifactRef, target: Path) -> None:
    """Write the artifact at ``path`` to ``target``, which appears only when it is whole.

    Raises:
        ArtifactCorrupt: What came is not ``ref``.
        ReplicaLabError: The service refused, or stayed away too long.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            _receive(transport, path, ref, file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != ref.sha256:
            raise ArtifactCorrupt(f"The bytes received have the digest {digest}.")
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _receive(transport: Transport, path: str, ref: ArtifactRef, file: BinaryIO) -> None:
    waiting = transport.backoff.begin()
    while True:
        received = file.tell()
        try:
            _receive_rest(transport, path, ref, file)
        except ReplicaLabError as error:
            if file.tell() > received:
                waiting.reset()
            if not is_temporary(error) or not waiting.wait():
                raise
        else:
            return


def _receive_rest(transport: Transport, path: str, ref: ArtifactRef, file: BinaryIO) -> None:
    headers = {"Accept-Encoding": "identity"}
    if file.tell():
        headers |= {"Range": f"bytes={file.tell()}-", "If-Range": f'"{ref.sha256}"'}
    with transport.stream(path, headers) as response:
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            file.seek(0)
            file.truncate()
        for chunk in response.iter_raw():
            file.write(chunk)
            if file.tell() > ref.size_bytes:
                raise ArtifactCorrupt(f"More than the expected {ref.size_bytes} bytes came.")
    if file.tell() < ref.size_bytes:
        raise ServiceUnreachable(f"Only {file.tell()} of {ref.size_bytes} bytes came.")
