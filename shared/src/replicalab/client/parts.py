"""Large files in parts, several at once, each sent where the service says and tried by itself."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from uuid import UUID

from pydantic import TypeAdapter

from replicalab.client.transport import Transport, is_temporary
from replicalab.client.uploads import Report, Upload
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.artifacts import BINARY
from replicalab.domain.upload_resources import (
    NewPart,
    NewParts,
    NewUpload,
    PartTargetRead,
    UploadKind,
    UploadRead,
    UploadState,
)
from replicalab.errors import ReplicaLabError
from replicalab.file_errors import UploadExpired

ROOT = "/v1/uploads"
AT_ONCE = 4
SIGNED_AT_ONCE = 32
TRIES = 5
"""Of an upload; parts have tries of their own."""
COMPLETION_SECONDS = 600.0
"""The service reads the whole file through before it answers."""
JSON = {"Content-Type": "application/json"}

_TARGETS = TypeAdapter(list[PartTargetRead])


class PartSender:
    """Sends one file; what an earlier try has sent is not sent again."""

    def __init__(self, transport: Transport, file: Upload) -> None:
        self._transport = transport
        self._file = file

    def send(self, kind: UploadKind, project: UUID | str | None, report: Report) -> UUID:
        """Send the file and have it verified; returns the id of the completed upload.

        Args:
            kind: What the file is to become.
            project: Id of the project it is for; else the default one.
            report: Called with bytes that have arrived and bytes in all.

        Raises:
            BodyTooLarge: The file is larger than the service takes.
            TooManyUploads: You have too many that are not imported yet.
            UploadMismatch: The file has changed meanwhile.
            UploadExpired: The store has lost what was sent, again and again.
        """
        new = NewUpload(
            kind=kind,
            project_id=DEFAULT_PROJECT_ID if project is None else UUID(str(project)),
            sha256=self._file.sha256(),
            size_bytes=self._file.size_bytes,
        )
        for _ in range(TRIES - 1):
            with suppress(UploadExpired):  # some servers lose an upload when a part breaks off
                return self._send(new, report)
        return self._send(new, report)

    def _send(self, new: NewUpload, report: Report) -> UUID:
        answer = self._transport.send(
            "POST", ROOT, content=new.model_dump_json().encode(), headers=JSON
        )
        upload = UploadRead.model_validate_json(answer.content)
        if upload.state is UploadState.OPEN:
            self._send_missing(upload, report)
            self._transport.send(
                "POST", f"{ROOT}/{upload.id}:complete", timeout_seconds=COMPLETION_SECONDS
            )
        report(upload.size_bytes, upload.size_bytes)
        return upload.id

    def _send_missing(self, upload: UploadRead, report: Report) -> None:
        missing = upload.cut.missing(upload.parts)
        arrived = upload.size_bytes - sum(map(upload.cut.size_of, missing))
        report(arrived, upload.size_bytes)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as pool:
            for first in range(0, len(missing), SIGNED_AT_ONCE):
                numbers = missing[first : first + SIGNED_AT_ONCE]
                parts = [self._described(upload, number) for number in numbers]
                targets = self._targets(upload, parts)
                sending = [
                    pool.submit(self._send_part, upload, part, target)
                    for part, target in zip(parts, targets, strict=True)
                ]
                for part in _as_they_end(sending):
                    arrived += part.size_bytes
                    report(arrived, upload.size_bytes)

    def _described(self, upload: UploadRead, number: int) -> NewPart:
        body = self._file.part(upload.cut.offset_of(number), upload.cut.size_of(number))
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        return NewPart(number=number, size_bytes=len(body), md5=base64.b64encode(digest).decode())

    def _targets(self, upload: UploadRead, parts: Sequence[NewPart]) -> Sequence[PartTargetRead]:
        body = NewParts(parts=tuple(parts)).model_dump_json().encode()
        answer = self._transport.send(
            "POST", f"{ROOT}/{upload.id}:presign", content=body, headers=JSON
        )
        return _TARGETS.validate_json(answer.content)

    def _send_part(self, upload: UploadRead, part: NewPart, target: PartTargetRead) -> NewPart:
        body = self._file.part(upload.cut.offset_of(part.number), part.size_bytes)
        waiting = self._transport.backoff.begin()
        while True:
            try:
                self._put(target, body)
            except ReplicaLabError as error:
                if not is_temporary(error) or not waiting.wait():
                    raise
            else:
                return part
            # The address may have expired; and the service knows whether the upload still lives.
            (target,) = self._targets(upload, [part])

    def _put(self, target: PartTargetRead, body: bytes) -> None:
        if target.url.startswith("/"):
            headers = {"Content-Type": BINARY, **target.headers}
            self._transport.send("PUT", target.url, content=body, headers=headers)
        else:
            self._transport.put_to_store(target.url, target.headers, body)


def _as_they_end(sending: Sequence[Future[NewPart]]) -> Iterator[NewPart]:
    """What was sent; after a failure nothing more is begun."""
    try:
        for future in as_completed(sending):
            yield future.result()
    except BaseException:
        for future in sending:
            future.cancel()
        raise
