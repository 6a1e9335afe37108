"""Generators that were imported; ``Lab.generators``."""

from pathlib import Path
from uuid import UUID

from replicalab.client.imports import Imports, no_report, parameters
from replicalab.client.uploads import Report, upload_of
from replicalab.domain.generator_resources import GeneratorPage, GeneratorRead
from replicalab.domain.upload_resources import UploadKind
from replicalab.refusals import GeneratorNotFound


class Generators(Imports[GeneratorRead]):
    """Files of others made into generators that experiments can name. ``Lab.generators`` has one.

    Methods take an id of a generator or anything that has one.
    """

    root = "/v1/generators"
    kind = UploadKind.GENERATOR
    noun = "generator"
    not_found = GeneratorNotFound
    model = GeneratorRead

    def import_file(
        self,
        path: str | Path,
        *,
        name: str,
        licence: str,
        description: str | Path | None = None,
        project: UUID | str | None = None,
        on_progress: Report = no_report,
    ) -> GeneratorRead:
        """Upload a file; a worker then checks and converts it, which ``wait`` waits for.

        A file above 8 MiB is sent in parts, straight to the object store where it can be
        reached. After an interruption, the same call goes on with the parts that are missing.

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
            TooManyUploads: You have begun too many others that you have not finished.
        """
        upload = upload_of(Path(path), None if description is None else Path(description))
        return self._bring(parameters(name, licence, project), upload, on_progress)

    def _page(self, body: bytes) -> tuple[list[GeneratorRead], str | None]:
        page = GeneratorPage.model_validate_json(body)
        return page.items, page.next_cursor
