"""Routes about experiments once submitted: hold, release, priority, another try, differences."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from replicalab import errors, refusals
from replicalab.domain.differences import Difference, differences
from replicalab.domain.models import Frozen
from replicalab.domain.priorities import Priority
from replicalab.domain.resources import ExperimentRead
from replicalab_api.experiments.dependencies import Experiments
from replicalab_api.experiments.routes import BODY_ERRORS, NOT_FOUND, ExperimentId
from replicalab_api.http.conditional import etag_of, is_unchanged
from replicalab_api.http.idempotency import idempotency_key
from replicalab_api.http.json_bodies import JsonBody
from replicalab_api.http.openapi import json_body
from replicalab_api.http.problems import responses

router = APIRouter(
    prefix="/v1/experiments",
    tags=["experiments"],
    responses=responses(errors.DatabaseUnavailable, errors.InvalidRequest)
    | NOT_FOUND
    | responses(errors.IllegalTransition),
)


class DiffQuery(BaseModel):
    """The other side."""

    model_config = ConfigDict(extra="forbid")

    other: UUID = Field(description="``id`` of the experiment to compare with.")


class ExperimentChange(Frozen):
    """What can be changed of an experiment that was submitted."""

    priority: Priority


CHANGE: TypeAdapter[ExperimentChange] = TypeAdapter(ExperimentChange)
EXAMPLES = {"first": {"summary": "Go before others", "value": {"priority": "interactive"}}}


@router.post("/{experiment_id}:hold")
def hold_experiment(experiment_id: ExperimentId, experiments: Experiments) -> ExperimentRead:
    """Let waiting tasks wait; running ones go on, and so do those that others need."""
    return experiments.hold(experiment_id)


@router.post("/{experiment_id}:release")
def release_experiment(experiment_id: ExperimentId, experiments: Experiments) -> ExperimentRead:
    """End a hold."""
    return experiments.release(experiment_id)


@router.post(
    "/{experiment_id}:retry",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        errors.InvalidIdempotencyKey,
        errors.IdempotencyConflict,
        errors.QuotaExceeded,
        refusals.TooManyTasks,
    ),
)
def retry_experiment(
    experiment_id: ExperimentId,
    key: Annotated[str | None, Depends(idempotency_key)],
    experiments: Experiments,
    response: Response,
) -> ExperimentRead:
    """Try again: a new experiment of the same specification, or out of quarantine.

    One that failed or was cancelled is submitted once more, and takes over what had succeeded.
    Tasks in quarantine are queued again, in the same experiment; that needs a maintainer.
    """
    experiment, is_replayed = experiments.retry(experiment_id, idempotency_key=key)
    response.headers["Location"] = f"/v1/experiments/{experiment.id}"
    if is_replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return experiment


@router.get("/{experiment_id}/diff")
def compare_experiments(
    experiment_id: ExperimentId,
    query: Annotated[DiffQuery, Query()],
    experiments: Experiments,
) -> Sequence[Difference]:
    """Fields in which its specification (left) and another one's (right) differ."""
    return differences(experiments.get(experiment_id).spec, experiments.get(query.other).spec)


@router.patch(
    "/{experiment_id:id}",
    responses=responses(*BODY_ERRORS, refusals.PreconditionRequired, refusals.PreconditionFailed),
    openapi_extra=json_body(CHANGE, EXAMPLES),
)
def change_experiment(
    experiment_id: ExperimentId,
    change: Annotated[ExperimentChange, Depends(JsonBody(CHANGE))],
    experiments: Experiments,
    if_match: Annotated[
        str | None, Header(description="``ETag`` of the experiment as you saw it; needed.")
    ] = None,
) -> ExperimentRead:
    """Move it to another priority class, unless it has changed since you looked."""
    if if_match is None:
        raise refusals.PreconditionRequired("Send the ETag of the experiment as If-Match.")

    def is_expected(now: ExperimentRead) -> bool:
        return is_unchanged(if_match, etag_of(now.model_dump_json().encode()))

    return experiments.reprioritise(experiment_id, change.priority, is_expected=is_expected)
