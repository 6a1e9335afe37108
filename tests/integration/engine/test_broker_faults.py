"""A broker that is full, and a dispatcher that dies between ringing and writing it down."""

from collections.abc import Callable, Iterator

import pytest
import redis
import sqlalchemy as sa

from replicalab.db.models import TaskRow
from replicalab.domain.tasks import Queue
from replicalab.engine.dispatcher import Dispatcher
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.errors import BrokerUnavailable
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration
PassTime = Callable[[float], None]


@pytest.fixture
def full_broker(valkey_url: str) -> Iterator[str]:
    """A broker that takes nothing more."""
    with redis.Redis.from_url(valkey_url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        yield valkey_url
        client.config_set("maxmemory", "0")


def dispatcher_of(lab: Lab, doorbells: Doorbells) -> Dispatcher:
    return Dispatcher(lab.database, doorbells, redispatch_seconds=60)


def test_a_full_broker_costs_no_task(lab: Lab, full_broker: str) -> None:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    dispatcher = dispatcher_of(lab, Doorbells(celery_app(full_broker)))
    with pytest.raises(BrokerUnavailable):
        dispatcher.dispatch()
    with lab.database.transaction() as session:
        assert set(session.scalars(sa.select(TaskRow.dispatched_at))) == {None}
    assert lab.tasks.next_queued(Queue.WORKER) is not None
    with redis.Redis.from_url(full_broker) as client:
        client.config_set("maxmemory", "0")
    assert dispatcher.dispatch() == 1


class _Dying(Doorbells):
    """Rings, and dies before anybody learns that it rang."""

    def ring(self, queue: Queue, task_id: int) -> None:
        super().ring(queue, task_id)
        raise SystemExit


def test_a_dispatcher_that_dies_between_ringing_and_noting_it_rings_twice_for_one_claim(
    lab: Lab, valkey_url: str
) -> None:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    app = celery_app(valkey_url)
    with pytest.raises(SystemExit):
        dispatcher_of(lab, _Dying(app)).dispatch()
    assert dispatcher_of(lab, Doorbells(app)).dispatch() == 1
    assert Doorbells(app).waiting(Queue.WORKER) == 2
    task_id = lab.tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    claims = [lab.tasks.claim(task_id, f"w{n}") for n in range(2)]
    assert sum(claim is not None for claim in claims) == 1
