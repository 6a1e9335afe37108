"""What an experiment tells of its tasks, counted by the database."""

import pytest

from replicalab.domain.resources import Progress
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import TaskKind
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.progress import TaskStanding, progress_of
from replicalab.engine.task_store import BeatAnswer
from replicalab.planning.plan import plan
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration


class Watched:
    """An experiment, and what each of its tasks has come to as far as a test has driven it."""

    def __init__(self, lab: Lab, spec: ExperimentSpec) -> None:
        self._lab = lab
        self._experiment, _ = lab.experiments.submit(spec, owner="ann", idempotency_key=None)
        self._planned = plan(spec).tasks
        self._reported: dict[str, tuple[float, str]] = {}

    def report(self, task: ClaimedTask, progress: float, stage: str) -> None:
        answer = self._lab.tasks.beat(task.id, task.epoch, progress, stage)
        assert answer is BeatAnswer.GO_ON
        self._reported[task.key] = progress, stage

    def shown(self) -> Progress:
        return self._lab.experiments.get(self._experiment.id).progress

    def expected(self) -> Progress:
        """From one standing a task, as the tasks themselves are shown."""
        states = {task.key: task.state for task in self._lab.experiments.tasks(self._experiment.id)}
        standings = [
            TaskStanding(
                task.kind, states[task.key], task.work, *self._reported.get(task.key, (0.0, ""))
            )
            for task in self._planned
        ]
        return progress_of(standings, {})


@pytest.fixture
def watched(lab: Lab) -> Watched:
    return Watched(lab, STUDY)


def agree(watched: Watched) -> bool:
    shown, expected = watched.shown(), watched.expected()
    return shown.fraction == pytest.approx(expected.fraction) and (
        shown.tasks_total,
        shown.tasks_done,
        shown.stage,
    ) == (expected.tasks_total, expected.tasks_done, expected.stage)


def test_tasks_are_counted_as_they_are_one_by_one(lab: Lab, watched: Watched) -> None:
    while (task := lab.claim_next()) is not None:
        assert agree(watched)
        watched.report(task, 0.25, f"{task.params.kind} under way")
        assert agree(watched)
        assert lab.complete(task)
    assert agree(watched)
    assert watched.shown().fraction == 1.0


def test_the_stage_is_the_first_running_task_s_that_tells_one(lab: Lab, watched: Watched) -> None:
    lab.complete(lab.must_claim())
    running = [lab.must_claim() for _ in range(4)]
    shards = [task for task in running if TaskKind(task.params.kind) is TaskKind.RECONSTRUCT]
    assert len(shards) > 2
    for number, task in reversed(list(enumerate(shards[1:], 2))):
        watched.report(task, number / 10, f"step {number}")
    assert agree(watched)
    assert f"reconstruct 1/{len(shards)}: step 2" in watched.shown().stage


def test_telling_the_same_twice_tells_the_same(lab: Lab, watched: Watched) -> None:
    lab.complete(lab.must_claim())
    for number in range(3):
        watched.report(lab.must_claim(), 0.1 + 0.7 / (number + 3), "")
    assert len({watched.shown().model_dump_json() for _ in range(5)}) == 1
