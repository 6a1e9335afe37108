"""Routes under /v1/generators."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool

from replicalab import errors, refusals
from replicalab.db.generators import GeneratorRow
from replicalab.domain.generator_resources import GeneratorPage, GeneratorRead
from replicalab.domain.specs import ImportSpec
from replicalab.domain.upload_resources import UploadKind
from replicalab_api.http.authentication import Caller
from replicalab_api.http.paging import Cursors
from replicalab_api.http.problems import responses
from replicalab_api.imports.described import REFUSALS, file_body
from replicalab_api.imports.queries import ImportQuery, ImportsQuery
from replicalab_api.imports.sources import file_of
from replicalab_api.imports.visible import LabImports

router = APIRouter(
    prefix="/v1/generators",
    tags=["generators"],
    responses=responses(errors.DatabaseUnavailable, errors.InvalidRequest),
)

LabGenerators = LabImports[GeneratorRow, GeneratorRead, ImportSpec]


async def _generators(request: Request) -> LabGenerators:
    generators: LabGenerators = request.app.state.generators
    return generators


Service = Annotated[LabGenerators, Depends(_generators)]
GeneratorId = Annotated[UUID, PathParameter(description="``id`` of the generator.")]
NOT_FOUND = responses(refusals.GeneratorNotFound)
FILE = file_body(
    "Unless an upload is named, the file: an official snapshot (edm-*.pkl), or "
    "a safetensors file with its description in the metadata."
)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses=REFUSALS,
    openapi_extra=FILE,
)
async def import_generator(
    request: Request,
    query: Annotated[ImportQuery, Query()],
    caller: Caller,
    generators: Service,
    response: Response,
) -> GeneratorRead:
    """Bring the file of a generator into a project; a worker checks and converts it.

    Nothing of the file is ever run. ``state`` of the answer tells how far it is: ask again, or
    follow the experiment that imports it.
    """
    # What can be refused without the file is refused before it is sent.
    await run_in_threadpool(generators.check, caller, query.project, query.name)
    async with file_of(request, query, caller, UploadKind.GENERATOR) as file:
        spec = ImportSpec(name=query.name, file=file.ref, licence=query.licence)
        brought = await run_in_threadpool(generators.bring, caller, query.project, file, spec)
    response.headers["Location"] = f"/v1/generators/{brought.id}"
    return brought


@router.get("")
def list_generators(
    query: Annotated[ImportsQuery, Query()],
    caller: Caller,
    generators: Service,
    cursors: Cursors,
) -> GeneratorPage:
    """Imported generators of your projects, newest first."""
    items, following = generators.list(
        caller,
        limit=query.limit,
        before=None if query.cursor is None else cursors.decode(query.cursor),
        project_id=query.project,
        name=query.name,
    )
    return GeneratorPage(
        items=items, next_cursor=None if following is None else cursors.encode(following)
    )


@router.get("/{generator_id}", responses=NOT_FOUND)
def get_generator(generator_id: GeneratorId, caller: Caller, generators: Service) -> GeneratorRead:
    """A generator: state, licence, what it holds, and why it was refused if it was."""
    return generators.get(caller, generator_id)


@router.delete(
    "/{generator_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOUND | responses(refusals.GeneratorInUse, errors.StoreUnavailable),
)
def delete_generator(generator_id: GeneratorId, caller: Caller, generators: Service) -> None:
    """Forget a generator and remove its file; results that it made stay."""
    generators.delete(caller, generator_id)
