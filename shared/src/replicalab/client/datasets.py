"""Data sets that were imported; ``Lab.datasets``."""

from pathlib import Path
from uuid import UUID

from replicalab.client.imports import Imports, no_report, parameters
from replicalab.client.uploads import Report, plain_upload
from replicalab.domain.dataset_resources import DatasetPage, DatasetRead
from replicalab.domain.datasets import DatasetRecipe
from replicalab.domain.upload_resources import UploadKind
from replicalab.refusals import DatasetNotFound


class Datasets(Imports[DatasetRead]):
    """Files made into data sets that experiments can name. ``Lab.datasets`` has one.

    Methods take an id of a data set or anything that has one.
    """

    root = "/v1/datasets"
    kind = UploadKind.DATASET
    noun = "data set"
    not_found = DatasetNotFound
    model = DatasetRead

    def import_file(
        self,
        path: str | Path,
        *,
        name: str,
        licence: str,
        recipe: DatasetRecipe | None = None,
        project: UUID | str | None = None,
        on_progress: Report = no_report,
    ) -> DatasetRead:
        """Upload a file; a worker then checks and reads it, which ``wait`` waits for.

        A file above 8 MiB is sent in parts, straight to the object store where it can be
        reached. After an interruption, the same call goes on with the parts that are missing.

        Args:
            path: A zip archive of class folders, an npz of images and labels, or Parquet.
            name: What experiments of the project will call it.
            licence: Under which the images may be used; it is shown wherever they are.
            recipe: What is done to the images: resizing, and a split where the file has none.
            project: Id of a project; else the default one.
            on_progress: Called with bytes sent and bytes in all.

        Raises:
            InvalidRequest: There is no such file.
            NameTaken: The project has a data set of this name.
            BodyTooLarge: The file is larger than the service takes.
            TooManyUploads: You have begun too many others that you have not finished.
        """
        upload = plain_upload(Path(path))
        done = (recipe or DatasetRecipe()).model_dump(exclude_none=True)
        params = parameters(name, licence, project) | {
            field: str(value) for field, value in done.items()
        }
        return self._bring(params, upload, on_progress)

    def _page(self, body: bytes) -> tuple[list[DatasetRead], str | None]:
        page = DatasetPage.model_validate_json(body)
        return page.items, page.next_cursor
