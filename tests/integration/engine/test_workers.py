"""Workers that lose everything they touch are taken out of service, and no others."""

import threading
from collections.abc import Callable

import pytest

from replicalab.db.database import Database
from replicalab.domain.resources import WorkerRead
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Queue
from replicalab.engine.attendance import Attendance
from replicalab.engine.failures import FailureClass
from replicalab.engine.workers import BREAKING_STREAK, Node, Workers
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration
PassTime = Callable[[float], None]
GOOD, BAD = "worker@good:1", "worker@bad:1"


def node(name: str) -> Node:
    return Node(name, Queue.WORKER, "1", "cpu")


@pytest.fixture
def register(lab: Lab) -> Workers:
    workers = Workers(lab.database)
    workers.see(node("worker@good"))
    workers.see(node("worker@bad"))
    return workers


@pytest.fixture
def many_tasks(lab: Lab) -> None:
    for seed in range(4):
        spec = ExperimentSpec(**{**STUDY.model_dump(), "noise_seed": seed, "name": f"s{seed}"})
        lab.experiments.submit(spec, owner="ann", idempotency_key=None)
    assert lab.complete(lab.must_claim(GOOD))


def lose_one(lab: Lab, worker: str) -> None:
    task = lab.must_claim(worker)
    assert lab.tasks.lose(task.id, task.epoch, "it died")


def standing(register: Workers, name: str) -> WorkerRead:
    return next(worker for worker in register.list() if worker.node == name)


@pytest.mark.usefixtures("many_tasks")
def test_three_losses_in_a_row_while_others_succeed_end_the_service(
    lab: Lab, register: Workers
) -> None:
    for lost in range(BREAKING_STREAK):
        assert standing(register, "worker@bad").drained_at is None
        assert standing(register, "worker@bad").lost_in_a_row == lost
        lose_one(lab, BAD)
    assert standing(register, "worker@bad").drained_at is not None
    assert lab.claim_next(BAD) is None
    assert lab.claim_next(GOOD) is not None


@pytest.mark.usefixtures("many_tasks")
def test_a_success_in_between_begins_the_count_anew(lab: Lab, register: Workers) -> None:
    for _ in range(BREAKING_STREAK - 1):
        lose_one(lab, BAD)
    assert lab.complete(lab.must_claim(BAD))
    for _ in range(BREAKING_STREAK - 1):
        lose_one(lab, BAD)
    assert standing(register, "worker@bad").drained_at is None


@pytest.mark.usefixtures("many_tasks")
def test_failures_that_are_the_works_own_fault_do_not_count(lab: Lab, register: Workers) -> None:
    for _ in range(BREAKING_STREAK):
        task = lab.must_claim(BAD)
        assert lab.tasks.fail(task.id, task.epoch, FailureClass.NUMERIC, "loss is nan")
    assert standing(register, "worker@bad").lost_in_a_row == 0


@pytest.mark.usefixtures("many_tasks")
def test_where_nobody_else_succeeds_the_worker_is_not_to_blame(
    lab: Lab, register: Workers, pass_time: PassTime
) -> None:
    pass_time(2 * 3600)  # the success of the good one is long ago
    for _ in range(BREAKING_STREAK + 1):
        lose_one(lab, BAD)
    assert standing(register, "worker@bad").drained_at is None


def test_a_drained_node_waits_and_goes_on_when_it_is_resumed(lab: Lab, register: Workers) -> None:
    with lab.database.transaction() as session:
        register.drain(session, "worker@bad", "new card")
    waiting = Attendance(register, node("worker@bad"), poll_seconds=0.05)
    thread = threading.Thread(target=waiting.wait_for_service)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    with lab.database.transaction() as session:
        register.resume(session, "worker@bad")
    thread.join(10)
    assert not thread.is_alive()


def test_a_register_that_is_away_ends_nobodys_service() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:9/none")
    assert Attendance(Workers(nowhere), node("worker@bad"), poll_seconds=1).is_in_service()
