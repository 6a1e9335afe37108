"""Routes under /v1/experiments."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from replicalab import errors, file_errors, refusals
from replicalab.domain.resources import (
    ArtifactRead,
    ExperimentPage,
    ExperimentRead,
    PlanRead,
    Results,
    TaskRead,
)
from replicalab.domain.specs import SPEC, ExperimentSpec, TrainingSpec
from replicalab.domain.tables import results_csv
from replicalab_api.experiments import streams
from replicalab_api.experiments.dependencies import (
    DamagesOfApp,
    Experiments,
    LaterExperiments,
    LooksOfApp,
    Objects,
    WakeupsOfApp,
    stream_place,
)
from replicalab_api.experiments.examples import BODIES
from replicalab_api.experiments.queries import (
    MAX_EVENT_ID,
    EventsQuery,
    ListQuery,
    ResultsQuery,
    SubmitQuery,
    WaitQuery,
)
from replicalab_api.experiments.service import list_page
from replicalab_api.http.conditional import is_fresh
from replicalab_api.http.downloads import artifact_response
from replicalab_api.http.idempotency import idempotency_key
from replicalab_api.http.json_bodies import JSON_BODY_ERRORS, JsonBody
from replicalab_api.http.openapi import json_body, links
from replicalab_api.http.paging import Cursors
from replicalab_api.http.problems import responses

router = APIRouter(
    prefix="/v1/experiments",
    tags=["experiments"],
    responses=responses(errors.DatabaseUnavailable, errors.InvalidRequest),
)


ExperimentId = Annotated[UUID, PathParameter(description="``id`` of the experiment.")]
SpecBody = Annotated[ExperimentSpec | TrainingSpec, Depends(JsonBody(SPEC))]
IfNoneMatch = Annotated[str | None, Header(description="ETags of copies that you have.")]

BODY_ERRORS = (
    *JSON_BODY_ERRORS,
    errors.IncompatibleParts,
    errors.UnknownGenerator,
)
NOT_FOUND = responses(errors.ExperimentNotFound)
_ITS_ID = {"experiment_id": "$response.body#/id"}
FROM_EXPERIMENT = links(
    get_experiment=_ITS_ID,
    list_tasks=_ITS_ID,
    get_results=_ITS_ID,
    list_artifacts=_ITS_ID,
    cancel_experiment=_ITS_ID,
)
FROM_TASKS = links(list_artifacts={"experiment_id": "$request.path.experiment_id"})
FROM_ARTIFACTS = links(
    get_artifact={
        "experiment_id": "$request.path.experiment_id",
        "task_key": "$response.body#/0/task_key",
        "name": "$response.body#/0/name",
    }
)
CSV_TYPE = "text/csv; charset=utf-8"


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        *BODY_ERRORS,
        errors.InvalidIdempotencyKey,
        errors.IdempotencyConflict,
        errors.QuotaExceeded,
        refusals.TooManyTasks,
        refusals.ProjectNotFound,
    )
    | {202: FROM_EXPERIMENT},
    openapi_extra=json_body(SPEC, BODIES),
)
def submit_experiment(
    spec: SpecBody,
    key: Annotated[str | None, Depends(idempotency_key)],
    query: Annotated[SubmitQuery, Query()],
    experiments: Experiments,
    response: Response,
) -> ExperimentRead:
    """Accept a specification; its tasks run as workers become free.

    With an Idempotency-Key the same request may be sent any number of times: it is accepted once,
    and ``Idempotency-Replayed: true`` marks the repeated answers.
    """
    experiment, is_replayed = experiments.submit(
        spec, project_id=query.project, idempotency_key=key
    )
    response.headers["Location"] = f"/v1/experiments/{experiment.id}"
    if is_replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return experiment


# A colon keeps actions apart from ids, which hold none.
@router.post(
    ":validate",
    responses=responses(*BODY_ERRORS, refusals.ProjectNotFound),
    openapi_extra=json_body(SPEC, BODIES),
)
def validate_experiment(
    spec: SpecBody, query: Annotated[SubmitQuery, Query()], experiments: Experiments
) -> PlanRead:
    """Say what submitting would do, without doing it: tasks, reuse, network evaluations, time."""
    return experiments.validate(spec, project_id=query.project)


@router.get("")
def list_experiments(
    query: Annotated[ListQuery, Query()],
    experiments: Experiments,
    cursors: Cursors,
) -> ExperimentPage:
    """Experiments, newest first."""
    return list_page(
        experiments,
        cursors,
        limit=query.limit,
        cursor=query.cursor,
        state=query.state,
        name=query.name,
    )


@router.get(
    "/{experiment_id:id}",
    response_model=ExperimentRead,
    responses=NOT_FOUND | {304: {"description": "Your copy is the present one."}},
)
async def get_experiment(
    experiment_id: ExperimentId,
    query: Annotated[WaitQuery, Query()],
    experiments: LaterExperiments,
    wakeups: WakeupsOfApp,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The experiment: state, progress, expected time, specification."""
    body, etag = await streams.read_when_settled(
        experiments, wakeups, experiment_id, wait_seconds=query.wait, known=if_none_match
    )
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if is_fresh(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.post("/{experiment_id}:cancel", responses=NOT_FOUND | responses(errors.IllegalTransition))
def cancel_experiment(experiment_id: ExperimentId, experiments: Experiments) -> ExperimentRead:
    """Cancel: what is committed stays, what only this experiment needs stops.

    Cancelling again is no error; cancelling what has ended otherwise is.
    """
    return experiments.cancel(experiment_id)


@router.get("/{experiment_id}/tasks", responses=NOT_FOUND | {200: FROM_TASKS})
def list_tasks(experiment_id: ExperimentId, experiments: Experiments) -> Sequence[TaskRead]:
    """Its tasks, every one after those it reads from."""
    return experiments.tasks(experiment_id)


@router.get(
    "/{experiment_id}/results",
    response_model=Results,
    responses=NOT_FOUND | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def get_results(
    experiment_id: ExperimentId,
    query: Annotated[ResultsQuery, Query()],
    experiments: Experiments,
    accept: Annotated[str, Header(description="``text/csv`` for a table.")] = "*/*",
) -> Response:
    """Every measurement so far, with n, unit, interval and recipe; JSON, or CSV if asked for."""
    results = experiments.results(experiment_id)
    if query.format == "csv" or (query.format is None and accept.startswith("text/csv")):
        name = f'attachment; filename="results-{experiment_id}.csv"'
        headers = {"Content-Disposition": name, "Vary": "Accept"}
        return Response(results_csv(results.items), media_type=CSV_TYPE, headers=headers)
    body = results.model_dump_json()
    return Response(body, media_type="application/json", headers={"Vary": "Accept"})


@router.get("/{experiment_id}/artifacts", responses=NOT_FOUND | {200: FROM_ARTIFACTS})
def list_artifacts(experiment_id: ExperimentId, experiments: Experiments) -> Sequence[ArtifactRead]:
    """Every artifact so far."""
    return experiments.artifacts(experiment_id)


BYTES: dict[str, Any] = {"content": {"*/*": {}}}
"""Of any type: an artifact is served as what it is."""


@router.get(
    "/{experiment_id}/artifacts/{task_key}/{name}",
    response_class=Response,
    responses=responses(
        errors.ExperimentNotFound,
        errors.ArtifactNotFound,
        errors.RangeNotSatisfiable,
        errors.ArtifactCorrupt,
        file_errors.ArtifactMissing,
        errors.StoreUnavailable,
        errors.DatabaseUnavailable,
    )
    | {
        200: {"description": "The bytes."} | BYTES,
        206: {"description": "The range."} | BYTES,
        302: {"description": "The bytes are at Location for five minutes, without a token."},
        304: {"description": "Your copy is the present one."},
    },
)
def get_artifact(
    request: Request,
    experiment_id: ExperimentId,
    task_key: Annotated[str, PathParameter(pattern=r"^[0-9a-f]{64}$")],
    name: Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")],
    experiments: Experiments,
    objects: Objects,
    damages: DamagesOfApp,
) -> Response:
    """The bytes of an artifact; the ETag is their SHA-256. Ranges are served."""
    ref = experiments.artifact(experiment_id, task_key, name)
    return artifact_response(request, objects, ref, name, damages)


def _existing(experiment_id: ExperimentId, experiments: Experiments) -> UUID:
    """Find out before the stream begins, while the answer can still be a problem."""
    return experiments.get(experiment_id).id


@router.get(
    "/{experiment_id}/events",
    response_class=StreamingResponse,
    dependencies=[Depends(stream_place)],
    responses=NOT_FOUND | {200: {"content": {streams.MEDIA_TYPE: {"itemSchema": streams.EVENT}}}},
)
def stream_events(
    experiment_id: Annotated[UUID, Depends(_existing)],
    query: Annotated[EventsQuery, Query()],
    experiments: LaterExperiments,
    looks: LooksOfApp,
    wakeups: WakeupsOfApp,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=MAX_EVENT_ID, description="Resume after this event; wins over after."),
    ] = None,
) -> StreamingResponse:
    """Server-sent events until the experiment ends: what happens, and how it stands.

    Events (``experiment-state``, ``experiment-change``, ``task-state``, ``task-progress``) carry
    ids; after a break, ``Last-Event-ID`` resumes without gaps. ``experiment`` carries the whole
    experiment whenever its progress moves, and no id.
    """
    after = query.after if last_event_id is None else last_event_id
    return StreamingResponse(
        streams.follow(experiments, looks, wakeups, experiment_id, after),
        media_type=streams.MEDIA_TYPE,
        # Proxies that collect answers would hold the stream back.
        headers={"X-Accel-Buffering": "no"},
    )
