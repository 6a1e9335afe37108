"""Routes that give an experiment away as an archive, and take such an archive in."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from replicalab import errors, file_errors, refusals
from replicalab.crates.reading import ExportArchive
from replicalab.domain.resources import ExperimentRead
from replicalab_api.experiments.archives import archive
from replicalab_api.experiments.dependencies import (
    DamagesOfApp,
    Experiments,
    Installation,
    Objects,
    export_place,
)
from replicalab_api.experiments.queries import ExportQuery, SubmitQuery
from replicalab_api.experiments.routes import NOT_FOUND, ExperimentId
from replicalab_api.http import uploads
from replicalab_api.http.problems import responses

router = APIRouter(
    prefix="/v1/experiments",
    tags=["experiments"],
    responses=responses(errors.DatabaseUnavailable, errors.InvalidRequest, errors.StoreUnavailable),
)

MEDIA_TYPE = "application/zip"
ARCHIVE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The archive.", "content": {MEDIA_TYPE: {}}}
}


@router.get(
    "/{experiment_id}/export",
    response_class=Response,
    dependencies=[Depends(export_place)],
    responses=responses(
        refusals.ExperimentUnfinished,
        errors.ArtifactCorrupt,
        file_errors.ArtifactMissing,
        errors.StoreUnavailable,
        errors.DatabaseUnavailable,
    )
    | NOT_FOUND
    | ARCHIVE,
)
def export_experiment(
    experiment_id: ExperimentId,
    query: Annotated[ExportQuery, Query()],
    experiments: Experiments,
    installation: Installation,
    objects: Objects,
    damages: DamagesOfApp,
) -> StreamingResponse:
    """An archive that describes itself: RO-Crate manifest, specification, tasks, results, files.

    It is readable without a service, and every file's SHA-256 is in it. Only experiments that
    have ended are given away; the manifest says how they ended. An answer that breaks off has no
    directory at its end, and no program opens it.
    """
    export = experiments.export(experiment_id, included=query.artifacts, installation=installation)
    name = f'attachment; filename="replicalab-{experiment_id}.zip"'
    return StreamingResponse(
        archive(export, query.licence, objects, damages),
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": name},
    )


FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An archive as it was exported.",
        "content": {uploads.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    ":import",
    status_code=HTTPStatus.CREATED,
    response_model=ExperimentRead,
    responses=responses(
        errors.InvalidRequest,
        errors.BodyTooLarge,
        errors.UnsupportedMediaType,
        file_errors.InvalidExport,
        refusals.ProjectNotFound,
    )
    | {200: {"description": "The project has it from this very archive.", "model": ExperimentRead}},
    openapi_extra=FILE,
)
async def import_experiment(
    request: Request,
    query: Annotated[SubmitQuery, Query()],
    experiments: Experiments,
    response: Response,
) -> ExperimentRead:
    """Take in an experiment of another installation, as it ended there.

    Every file of the archive is compared with its digest first; then all of it becomes visible,
    or nothing. `origin` tells where it comes from. Its tasks never serve other experiments: nobody
    here saw them run. The same archive again is answered with the same experiment.
    """
    await run_in_threadpool(experiments.check_import, query.project)
    most_bytes: int = request.app.state.max_export_bytes
    async with uploads.received(request, most_bytes) as upload:

        def restore() -> tuple[ExperimentRead, bool]:
            archive = ExportArchive(upload.file, most_bytes=most_bytes)
            return experiments.restore(archive, upload.ref.sha256, project_id=query.project)

        experiment, is_known = await run_in_threadpool(restore)
    response.headers["Location"] = f"/v1/experiments/{experiment.id}"
    if is_known:
        response.status_code = HTTPStatus.OK
    return experiment
