"""Submitting, sharing, caching, cancelling and watching experiments."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import sqlalchemy as sa

from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.artifacts import Damage
from replicalab.domain.priorities import Priority
from replicalab.domain.resources import EventRead, ExperimentRead
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.engine.failures import FailureClass
from replicalab.engine.submission import Submission
from replicalab.engine.task_store import BeatAnswer
from replicalab.errors import (
    ArtifactNotFound,
    ExperimentNotFound,
    IdempotencyConflict,
    IllegalTransition,
)
from replicalab.planning.plan import plan
from tests.integration.engine.conftest import ACCURACY, MAX_LOST, STUDY, Lab

pytestmark = pytest.mark.integration
OTHER = STUDY.model_copy(update={"name": "other", "classifier_seeds": (0, 1)})


def submitted(lab: Lab, spec: ExperimentSpec = STUDY) -> ExperimentRead:
    return lab.experiments.submit(spec, owner="ann", idempotency_key=None)[0]


def test_a_second_submission_of_finished_work_ends_at_once(lab: Lab) -> None:
    submitted(lab)
    lab.run_everything()
    again = submitted(lab)
    assert again.state is ExperimentState.SUCCEEDED
    assert again.reused_tasks == 9
    assert lab.claim_next() is None


def test_work_under_way_is_shared_not_repeated(lab: Lab) -> None:
    first = submitted(lab)
    running = lab.must_claim()
    second = submitted(lab)
    assert second.reused_tasks == 9
    assert second.state is ExperimentState.RUNNING
    lab.complete(running)
    lab.run_everything()
    for experiment in (first, second):
        assert lab.experiments.get(experiment.id).state is ExperimentState.SUCCEEDED
    assert len(lab.states()) == 9


def test_overlapping_specifications_share_what_they_have_in_common(lab: Lab) -> None:
    submitted(lab)
    other = submitted(lab, OTHER)
    assert other.reused_tasks == 1 + 3 + 2
    assert len(lab.states()) == 9 + 2 + 2 + 1


def test_submissions_at_the_same_time_make_each_task_once(lab: Lab) -> None:
    with ThreadPoolExecutor(6) as pool:
        experiments = list(pool.map(lambda _: submitted(lab), range(6)))
    assert len({e.id for e in experiments}) == 6
    assert len(lab.states()) == 9
    lab.run_everything()
    assert {lab.experiments.get(e.id).state for e in experiments} == {ExperimentState.SUCCEEDED}


def test_a_hit_without_its_bytes_is_no_hit(lab: Lab) -> None:
    first = submitted(lab)
    lab.run_everything()
    lost = lab.experiments.artifacts(first.id)[0]
    lab.artifacts.objects.delete(lost.ref.store_key)
    again = submitted(lab)
    assert again.reused_tasks == 8
    assert lab.must_claim().key == lost.task_key


def test_a_corrupt_artifact_is_forgotten_and_made_again(lab: Lab) -> None:
    first = submitted(lab)
    lab.run_everything()
    corrupt = lab.experiments.artifacts(first.id)[0]
    lab.tasks.note_damage(corrupt.ref.sha256, Damage.CORRUPT)
    assert submitted(lab).reused_tasks == 8


def test_validation_says_what_would_be_reused_and_changes_nothing(lab: Lab) -> None:
    before = lab.experiments.validate(STUDY)
    assert {task.cache for task in before.tasks} == {"miss"}
    assert before.evaluations == 1297 * 35
    assert lab.states() == {}
    submitted(lab)
    lab.complete(lab.must_claim())
    after = lab.experiments.validate(OTHER)
    assert after.cache_hits == 1
    assert [task.cache for task in after.tasks].count("shared") == 5


def test_the_same_idempotency_key_answers_the_same_experiment(lab: Lab) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda _: lab.experiments.submit(STUDY, owner="ann", idempotency_key="k"), range(6)
            )
        )
    assert len({experiment.id for experiment, _ in answers}) == 1
    assert [replayed for _, replayed in answers].count(False) == 1


def test_an_idempotency_key_cannot_be_used_for_something_else(lab: Lab) -> None:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        lab.experiments.submit(OTHER, owner="ann", idempotency_key="k")
    _, replayed = lab.experiments.submit(OTHER, owner="bob", idempotency_key="k")
    assert not replayed


def test_cancelling_ends_waiting_tasks_and_asks_running_ones_to_stop(lab: Lab) -> None:
    experiment = submitted(lab)
    task = lab.must_claim()
    assert lab.experiments.cancel(experiment.id).state is ExperimentState.CANCELLED
    assert lab.tasks.beat(task.id, task.epoch, 0.1, "") is BeatAnswer.CANCEL
    assert lab.tasks.stop(task.id, task.epoch)
    assert set(lab.states().values()) == {TaskState.CANCELLED}
    assert lab.experiments.cancel(experiment.id).state is ExperimentState.CANCELLED


@pytest.mark.parametrize("failure", [FailureClass.DEPENDENCY, FailureClass.INPUT])
def test_a_task_that_fails_before_it_hears_of_the_cancellation_is_cancelled(
    lab: Lab, failure: FailureClass
) -> None:
    experiment = submitted(lab)
    task = lab.must_claim()
    lab.experiments.cancel(experiment.id)
    assert lab.tasks.fail(task.id, task.epoch, failure, "the store is down")
    assert lab.states()[task.id] is TaskState.CANCELLED
    assert lab.attempts(task.id) == ["failed"]


def test_a_task_that_ends_before_it_hears_of_the_cancellation_counts(lab: Lab) -> None:
    experiment = submitted(lab)
    task = lab.must_claim()
    lab.experiments.cancel(experiment.id)
    assert lab.complete(task)
    assert lab.experiments.get(experiment.id).state is ExperimentState.CANCELLED
    assert submitted(lab).reused_tasks == 1


def test_cancelling_leaves_alone_what_another_experiment_needs(lab: Lab) -> None:
    first, other = submitted(lab), submitted(lab, OTHER)
    task = lab.must_claim()
    lab.experiments.cancel(first.id)
    assert lab.tasks.beat(task.id, task.epoch, 0.1, "") is BeatAnswer.GO_ON
    lab.complete(task)
    lab.run_everything()
    assert lab.experiments.get(other.id).state is ExperimentState.SUCCEEDED


def test_a_cancellation_that_waited_for_a_submission_spares_what_it_needs(lab: Lab) -> None:
    """Found by a chaos run: the submission was not visible yet when the cancellation began."""
    cancelled = submitted(lab)
    with ThreadPoolExecutor(1) as pool:
        with lab.database.transaction() as session:
            submission = Submission(session, lab.artifacts)
            submission.replay(STUDY, "bob", DEFAULT_PROJECT_ID, None)
            needed = submission.accept(
                STUDY,
                plan(STUDY),
                owner="bob",
                key=None,
                priority=Priority.NORMAL,
                owner_id=None,
                project_id=DEFAULT_PROJECT_ID,
            )
            answer = pool.submit(lab.experiments.cancel, cancelled.id)
            wait_for_a_lock(lab)
        assert answer.result().state is ExperimentState.CANCELLED
    assert set(lab.states().values()) == {TaskState.QUEUED, TaskState.BLOCKED}
    lab.run_everything()
    assert lab.experiments.get(needed).state is ExperimentState.SUCCEEDED


def wait_for_a_lock(lab: Lab) -> None:
    waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    deadline = time.monotonic() + 30
    with lab.database.transaction() as session:
        while not session.scalar(waiting):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_running_task_that_was_cancelled_is_taken_up_by_a_new_submission(lab: Lab) -> None:
    first = submitted(lab)
    task = lab.must_claim()
    lab.experiments.cancel(first.id)
    second = submitted(lab)
    assert lab.tasks.stop(task.id, task.epoch), "the worker had heard of the cancellation"
    lab.run_everything()
    assert lab.experiments.get(second.id).state is ExperimentState.SUCCEEDED


def test_an_ended_experiment_cannot_be_cancelled(lab: Lab) -> None:
    experiment = submitted(lab)
    lab.run_everything()
    with pytest.raises(IllegalTransition):
        lab.experiments.cancel(experiment.id)


def test_what_does_not_exist_is_not_found(lab: Lab) -> None:
    unknown = uuid4()
    for ask in (
        lab.experiments.get,
        lab.experiments.cancel,
        lab.experiments.tasks,
        lab.experiments.results,
        lab.experiments.artifacts,
    ):
        with pytest.raises(ExperimentNotFound):
            ask(unknown)
    with pytest.raises(ExperimentNotFound):
        lab.events(unknown, after=0, limit=1)
    experiment = submitted(lab)
    with pytest.raises(ArtifactNotFound):
        lab.experiments.artifact(experiment.id, "0" * 64, "report.html")


def test_results_and_artifacts_appear_with_the_task_that_makes_them(lab: Lab) -> None:
    experiment = submitted(lab)
    assert not lab.experiments.results(experiment.id).items
    task = lab.must_claim()
    lab.complete(task)
    results = lab.experiments.results(experiment.id)
    assert [row.measurement for row in results.items] == [ACCURACY]
    assert not results.is_complete
    artifact = lab.experiments.artifacts(experiment.id)[0]
    found = lab.experiments.artifact(experiment.id, artifact.task_key, artifact.name)
    assert lab.artifacts.read(found) == task.key.encode()


def test_lists_are_paged_newest_first(lab: Lab) -> None:
    specs = [STUDY.model_copy(update={"name": f"study {n}"}) for n in range(5)]
    ids = [submitted(lab, spec).id for spec in specs][::-1]
    page = lab.experiments.list(limit=2)
    assert [item.id for item in page.items] == ids[:2]
    rest = lab.experiments.list(limit=10, before=page.items[-1].id)
    assert [item.id for item in rest.items] == ids[2:]
    assert rest.next_cursor is None
    assert [i.name for i in lab.experiments.list(limit=9, name="DY 3").items] == ["study 3"]
    assert not lab.experiments.list(limit=9, name="%").items
    assert not lab.experiments.list(limit=9, state=ExperimentState.FAILED).items


def test_events_tell_the_whole_story_once_and_in_order(lab: Lab) -> None:
    experiment = submitted(lab)
    lab.run_everything()
    seen: list[EventRead] = []
    while batch := lab.events(experiment.id, after=seen[-1].id if seen else 0, limit=7):
        seen.extend(batch)
    assert [e.id for e in seen] == sorted({e.id for e in seen})
    states = [e.data["state"] for e in seen if e.kind == "experiment-state"]
    assert states == ["queued", "running", "succeeded"]
    succeeded = [e.task_key for e in seen if e.data.get("state") == "succeeded" and e.task_key]
    assert len(succeeded) == len(set(succeeded)) == 9


def test_quarantined_tasks_can_be_let_out_with_a_fresh_budget(lab: Lab) -> None:
    experiment = submitted(lab)
    for _ in range(MAX_LOST):
        task = lab.must_claim()
        lab.tasks.lose(task.id, task.epoch, "it died")
    assert lab.experiments.get(experiment.id).state is ExperimentState.NEEDS_ATTENTION
    released = lab.experiments.release_quarantined(experiment.id)
    assert released.state is ExperimentState.RUNNING
    task = lab.must_claim()
    lab.tasks.lose(task.id, task.epoch, "once more")
    assert lab.experiments.get(experiment.id).state is ExperimentState.RUNNING
    lab.run_everything()
    assert lab.experiments.get(experiment.id).state is ExperimentState.SUCCEEDED
