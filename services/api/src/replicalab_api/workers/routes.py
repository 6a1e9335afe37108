"""Routes under /v1/workers: who is there, and taking one out of service."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter

from replicalab import errors, refusals
from replicalab.domain.resources import WorkerRead
from replicalab_api.http.authentication import Caller
from replicalab_api.http.problems import responses
from replicalab_api.workers.service import LabWorkers

router = APIRouter(
    prefix="/v1/workers",
    tags=["workers"],
    responses=responses(errors.DatabaseUnavailable, errors.InvalidRequest),
)


async def _workers(request: Request) -> LabWorkers:
    workers: LabWorkers = request.app.state.workers
    return workers


Service = Annotated[LabWorkers, Depends(_workers)]
NodeName = Annotated[
    str, PathParameter(max_length=200, description="``node`` of the worker, as the list names it.")
]
NOT_FOUND = responses(refusals.WorkerNotFound)


@router.get("")
def list_workers(workers: Service) -> Sequence[WorkerRead]:
    """Every worker that was ever here, those seen last first."""
    return workers.list()


@router.post("/{node}:drain", responses=NOT_FOUND)
def drain_worker(
    node: NodeName,
    caller: Caller,
    workers: Service,
    reason: Annotated[
        str, Query(min_length=1, max_length=200, description="Shown to whoever looks.")
    ] = "Taken out of service by a maintainer.",
) -> WorkerRead:
    """Take a worker out of service: its present task ends, and it claims no other."""
    return workers.drain(caller, node, reason)


@router.post("/{node}:resume", responses=NOT_FOUND)
def resume_worker(node: NodeName, caller: Caller, workers: Service) -> WorkerRead:
    """Let a worker claim tasks again."""
    return workers.resume(caller, node)
