"""Routes under /v1/datasets."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool

from replicalab import errors, refusals
from replicalab.db.datasets import DatasetRow
from replicalab.domain.dataset_resources import DatasetPage, DatasetRead
from replicalab.domain.specs import DatasetImportSpec
from replicalab.domain.upload_resources import UploadKind
from replicalab_api.datasets.queries import DatasetQuery
from replicalab_api.http.authentication import Caller
from replicalab_api.http.paging import Cursors
from replicalab_api.http.problems import responses
from replicalab_api.imports.described import REFUSALS, file_body
from replicalab_api.imports.queries import ImportsQuery
from replicalab_api.imports.sources import file_of
from replicalab_api.imports.visible import LabImports

router = APIRouter(
    prefix="/v1/datasets",
    tags=["datasets"],
    responses=responses(errors.DatabaseUnavailable, errors.InvalidRequest),
)

LabDatasets = LabImports[DatasetRow, DatasetRead, DatasetImportSpec]


async def _datasets(request: Request) -> LabDatasets:
    datasets: LabDatasets = request.app.state.datasets
    return datasets


Service = Annotated[LabDatasets, Depends(_datasets)]
DatasetId = Annotated[UUID, PathParameter(description="``id`` of the data set.")]
NOT_FOUND = responses(refusals.DatasetNotFound)
FILE = file_body(
    "Unless an upload is named: a zip archive of class folders, an npz of "
    "images and labels, or Parquet."
)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses=REFUSALS,
    openapi_extra=FILE,
)
async def import_dataset(
    request: Request,
    query: Annotated[DatasetQuery, Query()],
    caller: Caller,
    datasets: Service,
    response: Response,
) -> DatasetRead:
    """Bring the file of a data set into a project; a worker checks and reads it.

    ``state`` of the answer tells how far it is: ask again, or
    follow the experiment that imports it.
    """
    # What can be refused without the file is refused before it is sent.
    await run_in_threadpool(datasets.check, caller, query.project, query.name)
    async with file_of(request, query, caller, UploadKind.DATASET) as file:
        spec = DatasetImportSpec(
            name=query.name, file=file.ref, licence=query.licence, recipe=query.recipe
        )
        brought = await run_in_threadpool(datasets.bring, caller, query.project, file, spec)
    response.headers["Location"] = f"/v1/datasets/{brought.id}"
    return brought


@router.get("")
def list_datasets(
    query: Annotated[ImportsQuery, Query()],
    caller: Caller,
    datasets: Service,
    cursors: Cursors,
) -> DatasetPage:
    """Imported data sets of your projects, newest first."""
    items, following = datasets.list(
        caller,
        limit=query.limit,
        before=None if query.cursor is None else cursors.decode(query.cursor),
        project_id=query.project,
        name=query.name,
    )
    return DatasetPage(
        items=items, next_cursor=None if following is None else cursors.encode(following)
    )


@router.get("/{dataset_id}", responses=NOT_FOUND)
def get_dataset(dataset_id: DatasetId, caller: Caller, datasets: Service) -> DatasetRead:
    """A data set: state, licence, what it holds, and why it was refused if it was."""
    return datasets.get(caller, dataset_id)


@router.delete(
    "/{dataset_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOUND | responses(refusals.DatasetInUse, errors.StoreUnavailable),
)
def delete_dataset(dataset_id: DatasetId, caller: Caller, datasets: Service) -> None:
    """Forget a data set and remove its file; results that it made stay."""
    datasets.delete(caller, dataset_id)
