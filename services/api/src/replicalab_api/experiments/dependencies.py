"""What the routes about experiments look up; asynchronous, since looking up needs no thread."""

from collections.abc import Callable, Iterator
from typing import Annotated

from fastapi import Depends, Request

from replicalab.storage.objects import ObjectStore
from replicalab_api.experiments.looks import Looks
from replicalab_api.experiments.service import ExperimentStore
from replicalab_api.experiments.visible import LabExperiments
from replicalab_api.http.authentication import Caller, later_principal_of, principal_of
from replicalab_api.http.downloads import Damages
from replicalab_api.http.limiting import StreamPlaces
from replicalab_api.http.wakeups import Wakeups


async def _experiments(request: Request) -> ExperimentStore:
    experiments: LabExperiments = request.app.state.experiments
    return experiments.seen_by(await principal_of(request))


Experiments = Annotated[ExperimentStore, Depends(_experiments)]


async def _later_experiments(
    request: Request, experiments: Experiments
) -> Callable[[], ExperimentStore]:
    """What the caller sees: now as authentication has found it, at later looks as it is then."""
    lab: LabExperiments = request.app.state.experiments
    caller = await later_principal_of(request)
    known = [experiments]
    return lambda: known.pop() if known else lab.seen_by(caller())


async def _objects(request: Request) -> ObjectStore:
    objects: ObjectStore = request.app.state.objects
    return objects


async def _damages(request: Request) -> Damages:
    damages: Damages = request.app.state.storage
    return damages


async def _wakeups(request: Request) -> Wakeups:
    wakeups: Wakeups = request.app.state.wakeups
    return wakeups


async def _looks(request: Request) -> Looks:
    looks: Looks = request.app.state.looks
    return looks


LaterExperiments = Annotated[Callable[[], ExperimentStore], Depends(_later_experiments)]
LooksOfApp = Annotated[Looks, Depends(_looks)]
WakeupsOfApp = Annotated[Wakeups, Depends(_wakeups)]
Objects = Annotated[ObjectStore, Depends(_objects)]
DamagesOfApp = Annotated[Damages, Depends(_damages)]


async def _installation(request: Request) -> str:
    installation: str = request.app.state.installation
    return installation


Installation = Annotated[str, Depends(_installation)]


def export_place(request: Request, caller: Caller) -> Iterator[None]:
    """A place among the archives on their way to the caller, until this one has arrived."""
    places: StreamPlaces = request.app.state.export_places
    with places.taken(caller):
        yield


def stream_place(request: Request, caller: Caller) -> Iterator[None]:
    """A place among the caller's streams, until the answer has ended."""
    places: StreamPlaces = request.app.state.stream_places
    with places.taken(caller):
        yield
