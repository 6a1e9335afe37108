"""Doorbells, dispatcher and scheduler on a real PostgreSQL and a real Valkey."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
import sqlalchemy as sa

from replicalab.db.models import TaskRow
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import Queue
from replicalab.engine.dispatcher import Dispatcher
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.scheduler import Scheduler
from replicalab.errors import BrokerUnavailable
from replicalab.stack.ports import free_port
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration
REDISPATCH_SECONDS = 60.0
WIDE = ExperimentSpec(name="wide", t_re=(0,), classifier_seeds=tuple(range(32)))
"""One data set, then 32 classifiers that all may start at once."""


@pytest.fixture
def broker(valkey_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def doorbells(valkey_url: str) -> Doorbells:
    return Doorbells(celery_app(valkey_url))


@pytest.fixture
def dispatcher(lab: Lab, doorbells: Doorbells) -> Dispatcher:
    return Dispatcher(lab.database, doorbells, redispatch_seconds=REDISPATCH_SECONDS)


def waiting_doorbells(broker: "redis.Redis", queue: Queue = Queue.WORKER) -> int:
    length = broker.llen(f"replicalab:{queue}")
    assert isinstance(length, int)
    return length


def submit(lab: Lab, spec: ExperimentSpec) -> None:
    lab.experiments.submit(spec, owner="ann", idempotency_key=None)


def test_a_queued_task_gets_one_doorbell(
    lab: Lab, dispatcher: Dispatcher, broker: "redis.Redis"
) -> None:
    submit(lab, STUDY)
    assert [dispatcher.dispatch(), dispatcher.dispatch()] == [1, 0]
    assert waiting_doorbells(broker) == 1


def test_a_long_queue_stays_in_postgresql(
    lab: Lab, dispatcher: Dispatcher, broker: "redis.Redis"
) -> None:
    submit(lab, WIDE)
    lab.complete(lab.must_claim())
    dispatcher.dispatch()
    dispatcher.dispatch()
    assert waiting_doorbells(broker) == 4


def test_doorbells_that_busy_workers_leave_behind_are_not_added_to(
    lab: Lab, dispatcher: Dispatcher, broker: "redis.Redis"
) -> None:
    submit(lab, WIDE)
    lab.complete(lab.must_claim())
    for _ in range(3):
        dispatcher.dispatch()
        assert waiting_doorbells(broker) == 4
        task_id = lab.tasks.next_queued(Queue.WORKER, is_at_work=True)
        assert task_id is not None
        task = lab.tasks.claim(task_id, "w1")
        assert task is not None
        lab.complete(task)
    broker.flushall()
    assert dispatcher.dispatch() > 0


def test_whoever_is_at_work_goes_on_in_the_order_of_the_doorbells(
    lab: Lab, dispatcher: Dispatcher
) -> None:
    submit(lab, WIDE)
    lab.complete(lab.must_claim())
    dispatcher.dispatch()
    with lab.database.transaction() as session:
        waiting = sa.select(TaskRow.id).where(TaskRow.state == TaskState.QUEUED)
        rung = set(session.scalars(waiting.where(TaskRow.dispatched_at.is_not(None))))
    assert lab.tasks.next_queued(Queue.WORKER, is_at_work=True) == min(rung)
    assert lab.tasks.next_queued(Queue.WORKER) not in rung


def test_a_lost_doorbell_rings_again_less_and_less_often(
    lab: Lab, dispatcher: Dispatcher, broker: "redis.Redis", pass_time: Callable[[float], None]
) -> None:
    submit(lab, STUDY)
    dispatcher.dispatch()
    broker.flushall()
    pass_time(REDISPATCH_SECONDS + 1)
    assert dispatcher.dispatch() == 1
    broker.flushall()
    pass_time(REDISPATCH_SECONDS + 1)
    assert dispatcher.dispatch() == 0
    pass_time(REDISPATCH_SECONDS + 1)
    assert dispatcher.dispatch() == 1


def test_while_no_worker_is_there_the_broker_does_not_fill_up(
    lab: Lab, dispatcher: Dispatcher, broker: "redis.Redis", pass_time: Callable[[float], None]
) -> None:
    submit(lab, WIDE)
    lab.complete(lab.must_claim())
    for _ in range(5):
        dispatcher.dispatch()
        pass_time(10 * REDISPATCH_SECONDS)
    assert waiting_doorbells(broker) == 4


def test_without_a_broker_tasks_stay_unstamped_and_workers_find_them(lab: Lab) -> None:
    submit(lab, STUDY)
    nobody = Doorbells(celery_app(f"redis://127.0.0.1:{free_port()}/0"))
    dispatcher = Dispatcher(lab.database, nobody, redispatch_seconds=REDISPATCH_SECONDS)
    with pytest.raises(BrokerUnavailable):
        dispatcher.dispatch()
    with lab.database.transaction() as session:
        assert set(session.scalars(sa.select(TaskRow.dispatched_at))) == {None}
    assert lab.tasks.next_queued(Queue.WORKER) is not None


def test_two_dispatchers_at_once_ring_each_task_once(
    lab: Lab, doorbells: Doorbells, broker: "redis.Redis"
) -> None:
    submit(lab, STUDY)
    dispatchers = [
        Dispatcher(lab.database, doorbells, redispatch_seconds=REDISPATCH_SECONDS) for _ in range(4)
    ]
    threads = [threading.Thread(target=d.dispatch) for d in dispatchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting_doorbells(broker) == 1


@pytest.fixture
def start_scheduler(
    lab: Lab, postgres_url: str, dispatcher: Dispatcher
) -> Iterator[Callable[..., Scheduler]]:
    running: list[tuple[Scheduler, threading.Thread]] = []

    def start(tick_seconds: float = 30) -> Scheduler:
        scheduler = Scheduler(
            postgres_url,
            dispatcher,
            lab.reconciler,
            tick_seconds=tick_seconds,
            reconcile_seconds=3600,
        )
        thread = threading.Thread(target=scheduler.run)
        thread.start()
        running.append((scheduler, thread))
        return scheduler

    yield start
    for scheduler, _ in running:
        scheduler.stop()
    wake(lab)
    for _, thread in running:
        thread.join(10)


def wake(lab: Lab) -> None:
    with lab.database.transaction() as session:
        session.execute(sa.text("SELECT pg_notify('replicalab_queue', '')"))


def wait_for_doorbells(broker: "redis.Redis", number: int) -> None:
    deadline = time.monotonic() + 15
    while waiting_doorbells(broker) < number:
        assert time.monotonic() < deadline, "no doorbell rang"
        time.sleep(0.02)


def complete_the_first(lab: Lab) -> None:
    """As a worker does that hears the doorbell: its claim waits until the dispatch is committed."""
    task = lab.tasks.claim(min(lab.states()), "w1")
    assert task is not None
    lab.complete(task)


def test_a_submission_wakes_the_scheduler_long_before_its_tick(
    lab: Lab, start_scheduler: Callable[..., Scheduler], broker: "redis.Redis"
) -> None:
    start_scheduler()
    submit(lab, STUDY)
    wait_for_doorbells(broker, 1)
    complete_the_first(lab)
    wait_for_doorbells(broker, 4)


def test_another_scheduler_takes_over_when_the_leader_goes(
    lab: Lab, start_scheduler: Callable[..., Scheduler], broker: "redis.Redis"
) -> None:
    leader = start_scheduler()
    submit(lab, STUDY)
    wait_for_doorbells(broker, 1)
    start_scheduler()
    leader.stop()
    wake(lab)
    complete_the_first(lab)
    deadline = time.monotonic() + 15
    while waiting_doorbells(broker) < 4:
        assert time.monotonic() < deadline, "nobody took over"
        wake(lab)
        time.sleep(0.1)


def test_the_scheduler_outlives_a_broken_connection(
    lab: Lab, start_scheduler: Callable[..., Scheduler], broker: "redis.Redis"
) -> None:
    start_scheduler(tick_seconds=0.2)
    submit(lab, STUDY)
    wait_for_doorbells(broker, 1)
    with lab.database.transaction() as session:
        session.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND query NOT LIKE 'SELECT pg_terminate%'"
            )
        )
    complete_the_first(lab)
    deadline = time.monotonic() + 40
    while waiting_doorbells(broker) < 4:
        assert time.monotonic() < deadline, "it did not come back"
        time.sleep(0.1)
