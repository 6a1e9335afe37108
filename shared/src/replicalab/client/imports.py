"""What people bring, whatever it is: uploaded once, looked at, awaited, deleted."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from replicalab.client import watching
from replicalab.client.parts import PartSender
from replicalab.client.transport import Transport
from replicalab.client.uploads import Report, Upload
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.artifacts import BINARY
from replicalab.domain.dataset_resources import DatasetRead
from replicalab.domain.generator_resources import GeneratorRead
from replicalab.domain.upload_parts import PART_BYTES
from replicalab.domain.upload_resources import UploadKind
from replicalab.errors import NotFound
from replicalab.refusals import NameTaken

PAGE_ITEMS = 200
UPLOAD_SECONDS = 600.0
"""The service answers once the whole file is in its store."""

Read = TypeVar("Read", GeneratorRead, DatasetRead)


def no_report(_sent: int, _total: int) -> None:
    """Nobody asked how far it is."""


class Imports(ABC, Generic[Read]):
    """What generators and data sets have in common; an argument is an id or has one."""

    root: ClassVar[str]
    kind: ClassVar[UploadKind]
    noun: ClassVar[str]
    not_found: ClassVar[type[NotFound]]
    model: type[Read]

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @abstractmethod
    def _page(self, body: bytes) -> tuple[list[Read], str | None]:
        """Items of a page, and the cursor of the next one."""

    def _path(self, thing: UUID | str | Read) -> str:
        known = thing if isinstance(thing, UUID | str) else thing.id
        # Anything but a UUID could lead the request to another route.
        return f"{self.root}/{known if isinstance(known, UUID) else UUID(known)}"

    def _bring(self, params: Mapping[str, str], file: Upload, report: Report) -> Read:
        """Send a file, in parts if it is larger than one, and have it imported."""
        if file.size_bytes <= PART_BYTES:
            return self._send(params, file, report)
        self._check_name(params)
        sender = PartSender(self._transport, file)
        upload = sender.send(self.kind, params.get("project"), report)
        return self._import({**params, "upload": str(upload)})

    def _check_name(self, params: Mapping[str, str]) -> None:
        """Raise ``NameTaken`` before a long upload; the service decides after it."""
        name, project = params["name"], params.get("project", str(DEFAULT_PROJECT_ID))
        if any(item.name == name for item in self.list(name=name, project=project)):
            raise NameTaken(f"The project has a {self.noun} {name!r} already; choose another name.")

    def _send(self, params: Mapping[str, str], file: Upload, report: Report) -> Read:
        headers = {"Content-Type": BINARY, "Content-Length": str(file.size_bytes)}
        return self._import(params, headers=headers, content=file.pieces(report))

    def _import(
        self,
        params: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        content: Iterable[bytes] | None = None,
    ) -> Read:
        """Once, for a repetition could find its own name taken."""
        response = self._transport.send(
            "POST",
            self.root,
            params=params,
            headers=headers,
            content=content,
            timeout_seconds=UPLOAD_SECONDS,
            is_repeatable=False,
        )
        return self.model.model_validate_json(response.content)

    def get(self, thing: UUID | str | Read) -> Read:
        """It as it stands; raises the ``NotFound`` of its kind."""
        response = self._transport.send("GET", self._path(thing))
        return self.model.model_validate_json(response.content)

    def list(self, *, name: str | None = None, project: UUID | str | None = None) -> Iterator[Read]:
        """Newest first; pages are fetched as they are needed.

        Args:
            name: Only with this text in their name, ignoring case.
            project: Only of this project.
        """
        params: dict[str, str | int] = {"limit": PAGE_ITEMS}
        if name is not None:
            params["name"] = name
        if project is not None:
            params["project"] = str(project)
        while True:
            response = self._transport.send("GET", self.root, params=params)
            items, cursor = self._page(response.content)
            yield from items
            if cursor is None:
                return
            params["cursor"] = cursor

    def find(self, name_or_id: str) -> Read:
        """The one with this id, or the only one with this name.

        Raises:
            NotFound: There is none, or several projects have one.
        """
        try:
            return self.get(UUID(name_or_id))
        except ValueError:
            found = [item for item in self.list(name=name_or_id) if item.name == name_or_id]
        if len(found) != 1:
            raise self.not_found(
                f"{len(found)} of your {self.noun}s are called {name_or_id!r}; give the id."
            )
        return found[0]

    def delete(self, thing: UUID | str | Read) -> None:
        """Forget it and remove its file; results that it made stay.

        Raises:
            Conflict: It is being imported, or an unfinished experiment needs it.
        """
        self._transport.send("DELETE", self._path(thing))

    def wait(self, thing: UUID | str | Read, *, timeout_seconds: float | None = None) -> Read:
        """Wait until it is ready, refused or failed.

        Raises:
            TimeoutError: It is still being imported after ``timeout_seconds``.
        """
        path = f"/v1/experiments/{self.get(thing).experiment_id}"
        watching.wait_for_end(self._transport, path, timeout_seconds)
        return self.get(thing)


def parameters(name: str, licence: str, project: UUID | str | None) -> dict[str, str]:
    """What is said of any file besides its bytes."""
    params = {"name": name, "licence": licence}
    return params if project is None else params | {"project": str(project)}
