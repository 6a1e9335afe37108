"""Routes of the object store: its state, and the sweep."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from replicalab import errors
from replicalab.domain.storage_resources import StorageRead, SweepRead
from replicalab.engine.sweeping import FOLDERS
from replicalab_api.http.authentication import Caller
from replicalab_api.http.problems import responses
from replicalab_api.storage.service import LabStorage

router = APIRouter(
    prefix="/v1/storage",
    tags=["storage"],
    responses=responses(errors.DatabaseUnavailable, errors.InvalidRequest),
)


async def _storage(request: Request) -> LabStorage:
    storage: LabStorage = request.app.state.storage
    return storage


Service = Annotated[LabStorage, Depends(_storage)]


@router.get("")
def get_storage(storage: Service) -> StorageRead:
    """Damaged artifacts, orphaned objects, and when the store was looked at last."""
    return storage.report()


@router.post(":sweep", responses=responses(errors.StoreUnavailable))
def sweep_storage(
    caller: Caller,
    storage: Service,
    dry_run: Annotated[bool, Query(description="Only say what would be removed.")] = True,
    position: Annotated[
        int, Query(ge=0, lt=len(FOLDERS), description="``next_position`` of the last answer.")
    ] = 0,
) -> SweepRead:
    """Look for objects that nothing refers to, for some seconds; ask again from next_position.

    Orphans found are marked, and those marked longer than their grace are removed. The scheduler
    does the same by itself, a little at a time.
    """
    return storage.sweep(caller, position, is_dry=dry_run)
