"""Generators that were imported; ``Lab.generators``."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from replicalab.client import watching
from replicalab.client.transport import Transport
from replicalab.client.uploads import Report, upload_of
from replicalab.domain.generator_resources import GeneratorPage, GeneratorRead
from replicalab.refusals import GeneratorNotFound

ROOT = "/v1/generators"
PAGE_ITEMS = 200
UPLOAD_SECONDS = 600.0
"""The service answers once the whole file is in its store."""

GeneratorLike = UUID | str | GeneratorRead


def _path(generator: GeneratorLike) -> str:
    known = generator.id if isinstance(generator, GeneratorRead) else generator
    # Anything but a UUID could lead the request to another route.
    return f"{ROOT}/{known if isinstance(known, UUID) else UUID(known)}"


def _no_report(_sent: int, _total: int) -> None:
    """Nobody asked how far it is."""


class Generators:
    """Files of others made into generators that experiments can name. ``Lab.generators`` has one.

    Arguments named ``generator`` take an id or anything that has one.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def import_file(
        self,
        path: str | Path,
        *,
        name: str,
        licence: str,
        description: str | Path | None = None,
        project: UUID | str | None = None,
        on_progress: Report = _no_report,
    ) -> GeneratorRead:
        """Upload a file; a worker then checks and converts it, which ``wait`` waits for.

        The file is sent once: a repetition could find its own name taken.

        Args:
            path: An official snapshot (``edm-*.pkl``) or a safetensors file.
            name: What experiments of the project will call it.
            licence: Under which the weights may be used; it is shown wherever they are.
            description: ``generator.json`` of a safetensors file; the one beside it by default.
            project: Id of a project; else the default one.
            on_progress: Called with bytes sent and bytes in all.

        Raises:
            InvalidRequest: There is no such file, or description and weights are not a pair.
            NameTaken: The project has a generator of this name.
            BodyTooLarge: The file is larger than the service takes.
        """
        upload = upload_of(Path(path), None if description is None else Path(description))
        params = {"name": name, "licence": licence}
        response = self._transport.send(
            "POST",
            ROOT,
            params=params if project is None else params | {"project": str(project)},
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(upload.size_bytes),
            },
            content=upload.pieces(on_progress),
            timeout_seconds=UPLOAD_SECONDS,
            is_repeatable=False,
        )
        return GeneratorRead.model_validate_json(response.content)

    def get(self, generator: GeneratorLike) -> GeneratorRead:
        """The generator as it stands; raises ``GeneratorNotFound``."""
        response = self._transport.send("GET", _path(generator))
        return GeneratorRead.model_validate_json(response.content)

    def list(
        self, *, name: str | None = None, project: UUID | str | None = None
    ) -> Iterator[GeneratorRead]:
        """Generators, newest first; pages are fetched as they are needed.

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
            response = self._transport.send("GET", ROOT, params=params)
            page = GeneratorPage.model_validate_json(response.content)
            yield from page.items
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor

    def find(self, name_or_id: str) -> GeneratorRead:
        """The generator with this id, or the only one with this name.

        Raises:
            GeneratorNotFound: There is none, or several projects have one.
        """
        try:
            return self.get(UUID(name_or_id))
        except ValueError:
            found = [item for item in self.list(name=name_or_id) if item.name == name_or_id]
        if len(found) != 1:
            raise GeneratorNotFound(
                f"{len(found)} of your generators are called {name_or_id!r}; give the id."
            )
        return found[0]

    def delete(self, generator: GeneratorLike) -> None:
        """Forget it and remove its file; results that it made stay.

        Raises:
            GeneratorInUse: It is being imported, or an unfinished experiment needs it.
        """
        self._transport.send("DELETE", _path(generator))

    def wait(
        self, generator: GeneratorLike, *, timeout_seconds: float | None = None
    ) -> GeneratorRead:
        """Wait until it is ready, refused or failed.

        Raises:
            TimeoutError: It is still being imported after ``timeout_seconds``.
        """
        path = f"/v1/experiments/{self.get(generator).experiment_id}"
        watching.wait_for_end(self._transport, path, timeout_seconds)
        return self.get(generator)
