"""A worker process as it really runs: Celery, supervisor and child, with real servers around it."""

import os
import signal
from pathlib import Path

import pytest
import redis

from replicalab.domain.states import TaskState
from replicalab.engine.workers import Workers
from tests.fixtures import handlers
from tests.integration.engine.conftest import Lab
from tests.integration.engine.running import (
    SCHEDULER,
    WORKER,
    Start,
    first_task,
    has_state,
    submit,
    wait_until,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_a_submission_reaches_the_worker_through_scheduler_and_broker(
    lab: Lab, start: Start
) -> None:
    start(SCHEDULER)
    start(WORKER)
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))


def test_a_killed_worker_loses_nothing(lab: Lab, start: Start) -> None:
    start(SCHEDULER)
    worker = start(WORKER)
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(has_state(lab, experiment, TaskState.QUEUED))
    assert "fell silent" in (first_task(lab, experiment).error or "")
    start(WORKER)
    wait_until(lambda: first_task(lab, experiment).attempts == 2)
    lab.experiments.cancel(experiment.id)
    wait_until(has_state(lab, experiment, TaskState.CANCELLED))


def test_the_child_does_not_outlive_its_supervisor(lab: Lab, start: Start) -> None:
    start(SCHEDULER)
    worker = start(WORKER)
    experiment = submit(lab, handlers.IGNORE_STOPS)
    wait_until(has_state(lab, experiment, TaskState.RUNNING))
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    assert children
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not any(_is_running(pid) for pid in children))


def _is_running(pid: str) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_worker_told_to_stop_gives_its_task_back_at_once(lab: Lab, start: Start) -> None:
    start(SCHEDULER)
    worker = start(WORKER)
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    os.kill(worker.pid, signal.SIGTERM)
    wait_until(has_state(lab, experiment, TaskState.QUEUED))
    wait_until(lambda: worker.exit_code == 0)
    assert first_task(lab, experiment).error_class is None


def test_garbage_in_the_queue_is_dropped_and_the_worker_lives(
    lab: Lab, start: Start, valkey_url: str
) -> None:
    with redis.Redis.from_url(valkey_url) as broker:
        broker.rpush("replicalab:worker", b"\xff not json", b"{}")
    start(SCHEDULER)
    start(WORKER)
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))


def test_a_flushed_broker_loses_no_task(lab: Lab, start: Start, valkey_url: str) -> None:
    start(SCHEDULER)
    experiment = submit(lab, handlers.SUCCEED)
    with redis.Redis.from_url(valkey_url) as broker:
        wait_until(lambda: bool(broker.llen("replicalab:worker")))
        broker.flushall()
    start(WORKER)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))


def test_without_a_broker_the_worker_finds_its_work(lab: Lab, start: Start) -> None:
    start(
        WORKER,
        REPLICALAB_BROKER__URL="redis://127.0.0.1:9/0",
        REPLICALAB_ENGINE__POLL_SECONDS="0.5",
    )
    experiment = submit(lab, handlers.SUCCEED)
    wait_until(has_state(lab, experiment, TaskState.SUCCEEDED))


def test_a_worker_at_work_shows_itself_and_ends_its_task_before_its_service(
    lab: Lab, start: Start
) -> None:
    worker = start(
        WORKER,
        REPLICALAB_BROKER__URL="redis://127.0.0.1:9/0",
        REPLICALAB_ENGINE__POLL_SECONDS="0.3",
    )
    register = Workers(lab.database)
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    (found,) = register.list()
    wait_until(lambda: register.list()[0].last_seen_at > found.last_seen_at)
    with lab.database.transaction() as session:
        register.drain(session, found.node, "a new card comes")
    seen_at = register.list()[0].last_seen_at
    wait_until(lambda: register.list()[0].last_seen_at > seen_at)
    assert first_task(lab, experiment).state is TaskState.RUNNING
    lab.experiments.cancel(experiment.id)
    wait_until(lambda: worker.exit_code == 0)
    assert first_task(lab, experiment).state is TaskState.CANCELLED
