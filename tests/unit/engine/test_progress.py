"""Progress and ETAs come from measured speeds."""

import pytest

from replicalab.domain.states import TaskState
from replicalab.domain.tasks import TaskKind
from replicalab.engine.failures import POLICIES, FailureClass, classify
from replicalab.engine.progress import TaskStanding, eta_seconds, progress_of
from replicalab.errors import ArtifactCorrupt, InvalidImageSet, OutOfMemory, StoreUnavailable


def standing(
    kind: TaskKind, state: TaskState, work: float, progress: float = 0, number: int = 1
) -> TaskStanding:
    return TaskStanding(kind, state, work, progress, "", number)


RECONSTRUCTIONS = [
    standing(TaskKind.RECONSTRUCT, TaskState.SUCCEEDED, 100),
    standing(TaskKind.RECONSTRUCT, TaskState.RUNNING, 100, progress=0.5),
    standing(TaskKind.RECONSTRUCT, TaskState.QUEUED, 100),
]


def test_the_eta_is_the_remaining_work_at_the_measured_speed() -> None:
    assert eta_seconds(RECONSTRUCTIONS, {TaskKind.RECONSTRUCT: 0.1}) == pytest.approx(15.0)


def test_the_eta_is_unknown_until_most_of_what_is_left_was_measured() -> None:
    long = [standing(TaskKind.RECONSTRUCT, TaskState.QUEUED, 1e6)]
    assert eta_seconds(long, {TaskKind.EVALUATE: 1.0}) is None


def test_the_eta_of_little_work_is_given_without_a_measurement() -> None:
    assert eta_seconds([standing(TaskKind.REPORT, TaskState.QUEUED, 1)], {}) == pytest.approx(10)


def test_queues_work_side_by_side() -> None:
    tasks = [*RECONSTRUCTIONS, standing(TaskKind.EVALUATE, TaskState.QUEUED, 1)]
    speeds = {TaskKind.RECONSTRUCT: 0.1, TaskKind.EVALUATE: 4.0}
    assert eta_seconds(tasks, speeds) == pytest.approx(15.0)


def test_two_running_tasks_halve_the_eta() -> None:
    tasks = [standing(TaskKind.RECONSTRUCT, TaskState.RUNNING, 100) for _ in range(2)]
    assert eta_seconds(tasks, {TaskKind.RECONSTRUCT: 0.1}) == pytest.approx(10.0)


def test_progress_weighs_tasks_by_time_not_by_number() -> None:
    tasks = [
        standing(TaskKind.RECONSTRUCT, TaskState.SUCCEEDED, 300),
        standing(TaskKind.RECONSTRUCT, TaskState.QUEUED, 100),
    ]
    progress = progress_of(tasks, {TaskKind.RECONSTRUCT: 0.1})
    assert progress.fraction == pytest.approx(0.75)
    assert (progress.tasks_done, progress.tasks_total) == (1, 2)


def test_progress_does_not_jump_when_a_speed_is_measured() -> None:
    tasks = [*RECONSTRUCTIONS, standing(TaskKind.TRAIN_CLASSIFIER, TaskState.QUEUED, 1000)]
    before = progress_of(tasks, {}).fraction
    assert progress_of(tasks, {TaskKind.RECONSTRUCT: 9.0}).fraction == before


def test_tasks_that_are_alike_count_together_as_they_do_by_themselves() -> None:
    states = [TaskState.SUCCEEDED, TaskState.RUNNING, TaskState.QUEUED]
    apart = [standing(TaskKind.RECONSTRUCT, state, 10, 0.25) for state in states for _ in range(4)]
    together = [standing(TaskKind.RECONSTRUCT, state, 40, 0.25, number=4) for state in states]
    speeds = {TaskKind.RECONSTRUCT: 0.1}
    progress, same = progress_of(together, speeds), progress_of(apart, speeds)
    assert progress.fraction == pytest.approx(same.fraction)
    assert progress.model_copy(update={"fraction": same.fraction}) == same
    assert progress.stage == "reconstruct 5/12"


def test_the_stage_names_what_runs() -> None:
    assert progress_of(RECONSTRUCTIONS, {}).stage == "reconstruct 2/3"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (InvalidImageSet("x"), FailureClass.INPUT),
        (ArtifactCorrupt("x"), FailureClass.INPUT),
        (StoreUnavailable("x"), FailureClass.DEPENDENCY),
        (ConnectionRefusedError(), FailureClass.DEPENDENCY),
        (FloatingPointError("loss is NaN"), FailureClass.NUMERIC),
        (MemoryError(), FailureClass.RESOURCE),
        (OutOfMemory("x"), FailureClass.RESOURCE),
        (OSError(28, "No space left on device"), FailureClass.RESOURCE),
        (ZeroDivisionError(), FailureClass.BUG),
    ],
)
def test_every_error_has_a_class(error: Exception, failure: FailureClass) -> None:
    assert classify(error) is failure


def test_retries_wait_longer_each_time_up_to_a_bound() -> None:
    policy = POLICIES[FailureClass.DEPENDENCY]
    delays = [policy.delay_before(n) for n in range(1, 20)]
    assert delays[:3] == [2.0, 4.0, 8.0]
    assert delays == sorted(delays)
    assert delays[-1] == policy.longest_delay_seconds
