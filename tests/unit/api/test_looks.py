"""One look is for everybody who watches from the same place, and for nobody who knows more."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from replicalab.domain.resources import EventRead, ExperimentRead, Progress
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState
from replicalab.engine.snapshots import Snapshot
from replicalab.errors import DatabaseUnavailable
from replicalab_api.experiments.looks import SHARED_SECONDS, Look, Looks

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, OTHER = uuid4(), uuid4()
LONG_AGO = float("-inf")

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def found(state: ExperimentState = ExperimentState.RUNNING) -> Snapshot:
    progress = Progress(tasks_total=1, tasks_done=0, fraction=0, stage="", eta_seconds=None)
    experiment = ExperimentRead(
        id=ONE,
        owner="ann",
        state=state,
        spec=ExperimentSpec(name="a study", t_re=(0, 1)),
        created_at=NOW,
        ended_at=None,
        progress=progress,
        reused_tasks=0,
    )
    return Snapshot(None, experiment)


def event(number: int, state: str) -> EventRead:
    data = {"state": state}
    return EventRead(id=number, at=NOW, kind="experiment-state", task_key=None, data=data)


class OneEventALook:
    """A history in which each look finds one more event, once ``may_go_on`` lets it."""

    def __init__(self) -> None:
        self.looks: list[tuple[UUID, int]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.problem: Exception | None = None

    def look(
        self, experiment_id: UUID, *, after: int, limit: int
    ) -> tuple[Snapshot, Sequence[EventRead]]:
        assert limit > 0
        self.looks.append((experiment_id, after))
        assert self.may_go_on.wait(5)
        if self.problem is not None:
            raise self.problem
        return found(), [event(len(self.looks), "running")]


@pytest.fixture
def history() -> OneEventALook:
    return OneEventALook()


@pytest.fixture
def looks(history: OneEventALook) -> Looks:
    return Looks(history)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_all_who_watch_from_the_same_place_share_a_look(
    looks: Looks, history: OneEventALook
) -> None:
    shared = await asyncio.gather(*(looks.at(ONE, 7, since=LONG_AGO) for _ in range(200)))
    assert history.looks == [(ONE, 7)]
    assert {look.last_id for look in shared} == {1}


async def test_every_place_has_its_own_look(looks: Looks, history: OneEventALook) -> None:
    places = [(ONE, 7), (ONE, 8), (OTHER, 7)]
    await asyncio.gather(*(looks.at(*place, since=LONG_AGO) for place in places))
    assert sorted(history.looks) == sorted(places)


async def test_a_look_that_began_before_the_news_is_not_for_who_was_told_of_them(
    looks: Looks, history: OneEventALook
) -> None:
    history.may_go_on.clear()
    early = asyncio.create_task(looks.at(ONE, 7, since=LONG_AGO))
    while not history.looks:
        await asyncio.sleep(0.001)
    late = asyncio.create_task(looks.at(ONE, 7, since=now()))
    later = asyncio.create_task(looks.at(ONE, 7, since=LONG_AGO))
    await asyncio.sleep(0)
    history.may_go_on.set()
    assert (await early).last_id is not None
    assert (await late).last_id == 2
    assert (await later).last_id == 2, "the newest look is as good for everybody else"


async def test_an_old_look_is_not_shared(looks: Looks, history: OneEventALook) -> None:
    await looks.at(ONE, 7, since=LONG_AGO)
    await asyncio.sleep(1.5 * SHARED_SECONDS)
    await looks.at(ONE, 7, since=LONG_AGO)
    assert len(history.looks) == 2


async def test_nothing_stays_in_memory(looks: Looks) -> None:
    for after in range(20):
        await looks.at(ONE, after, since=LONG_AGO)
    await asyncio.sleep(1.5 * SHARED_SECONDS)
    assert not looks._begun


async def test_who_leaves_does_not_take_the_look_from_the_others(
    looks: Looks, history: OneEventALook
) -> None:
    history.may_go_on.clear()
    leaving, staying = (asyncio.create_task(looks.at(ONE, 7, since=LONG_AGO)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    history.may_go_on.set()
    assert (await staying).last_id == 1
    assert leaving.cancelled()


async def test_a_look_that_fails_fails_for_all_who_share_it(
    looks: Looks, history: OneEventALook
) -> None:
    history.problem = DatabaseUnavailable("away")
    asked = (looks.at(ONE, 7, since=LONG_AGO) for _ in range(3))
    assert await asyncio.gather(*asked, return_exceptions=True) == [history.problem] * 3
    assert len(history.looks) == 1


def test_what_comes_after_the_end_is_left_out() -> None:
    look = Look.of(found(), [event(1, "running"), event(2, "failed"), event(3, "running")])
    assert len(look.events) == 2
    assert look.is_over


def test_a_look_at_an_ended_experiment_is_the_last_unless_there_is_more_to_read() -> None:
    ended = found(ExperimentState.SUCCEEDED)
    assert Look.of(ended, []).is_over
    page = [event(number, "running") for number in range(200)]
    assert not Look.of(ended, page).is_over
    assert Look.of(ended, page).is_full
