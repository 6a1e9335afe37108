"""The state machines of tasks and experiments."""

import pytest

from replicalab.domain.states import (
    TRANSITIONS,
    ExperimentState,
    TaskState,
    experiment_state,
    sources_of,
)
from replicalab.errors import IllegalTransition


@pytest.mark.parametrize("target", TaskState)
@pytest.mark.parametrize("source", TaskState)
def test_only_drawn_arrows_exist(source: TaskState, target: TaskState) -> None:
    if target in TRANSITIONS[source]:
        assert source.to(target) is target
        assert source in sources_of(target)
    else:
        with pytest.raises(IllegalTransition):
            source.to(target)


def test_success_comes_only_from_running() -> None:
    assert sources_of(TaskState.SUCCEEDED) == {TaskState.RUNNING}


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ("succeeded", ExperimentState.SUCCEEDED),
        ("queued blocked", ExperimentState.QUEUED),
        ("running blocked", ExperimentState.RUNNING),
        ("succeeded blocked queued", ExperimentState.RUNNING),
        ("retry-wait blocked", ExperimentState.RUNNING),
        ("failed succeeded upstream-failed", ExperimentState.FAILED),
        ("failed running", ExperimentState.RUNNING),
        ("quarantined blocked succeeded", ExperimentState.NEEDS_ATTENTION),
        ("quarantined queued", ExperimentState.QUEUED),
        ("cancelled succeeded", ExperimentState.FAILED),
    ],
)
def test_the_state_of_an_experiment_follows_from_its_tasks(
    tasks: str, expected: ExperimentState
) -> None:
    states = [TaskState(name) for name in tasks.split()]
    assert experiment_state(states, old=ExperimentState.QUEUED) is expected
    assert experiment_state(states, old=ExperimentState.CANCELLED) is ExperimentState.CANCELLED


def test_an_experiment_that_has_begun_is_never_queued_again() -> None:
    waiting = [TaskState.QUEUED, TaskState.BLOCKED]
    for old in (ExperimentState.RUNNING, ExperimentState.NEEDS_ATTENTION):
        assert experiment_state(waiting, old=old) is ExperimentState.RUNNING
