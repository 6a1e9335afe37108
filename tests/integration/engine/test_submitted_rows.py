"""What a submission leaves in the tables."""

import pytest
import sqlalchemy as sa

from replicalab.db.models import ExperimentTaskRow, TaskEdgeRow, TaskRow
from replicalab.domain.priorities import Priority
from replicalab.domain.states import TaskState
from replicalab.domain.tasks import TaskKey
from replicalab.planning.plan import plan
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration

PLANNED = plan(STUDY).tasks


@pytest.fixture
def tasks(lab: Lab) -> dict[TaskKey, TaskRow]:
    lab.experiments.submit(STUDY, owner="ann", idempotency_key=None, priority=Priority.INTERACTIVE)
    return tasks_of(lab)


def tasks_of(lab: Lab) -> dict[TaskKey, TaskRow]:
    """The newest generation of every task."""
    with lab.database.transaction() as session:
        rows = session.scalars(sa.select(TaskRow).order_by(TaskRow.generation))
        return {row.key: row for row in rows}


def test_every_task_is_as_planned(tasks: dict[TaskKey, TaskRow]) -> None:
    assert tasks.keys() == {task.key for task in PLANNED}
    for task in PLANNED:
        row = tasks[task.key]
        assert (row.kind, row.queue, row.work) == (task.kind, task.queue, task.work)
        assert row.params == task.params.model_dump(mode="json")
        assert row.inputs == [one.model_dump(mode="json") for one in task.inputs]
        assert (row.owner, row.priority) == ("ann", Priority.INTERACTIVE.rank)
        assert (row.generation, row.attempts, row.epoch, row.held) == (1, 0, 0, False)


def test_only_what_waits_for_nothing_is_queued(tasks: dict[TaskKey, TaskRow]) -> None:
    for task in PLANNED:
        row = tasks[task.key]
        assert row.unmet == len(task.parents)
        assert row.state is (TaskState.BLOCKED if task.parents else TaskState.QUEUED)
        assert (row.queued_at is None) == bool(task.parents)


def test_ids_rise_in_the_order_planned(tasks: dict[TaskKey, TaskRow]) -> None:
    """Locks are taken by rising ids, a parent's before its children's."""
    ids = [tasks[task.key].id for task in PLANNED]
    assert ids == sorted(ids)


def test_edges_and_places_are_those_of_the_plan(lab: Lab, tasks: dict[TaskKey, TaskRow]) -> None:
    with lab.database.transaction() as session:
        edges = session.execute(sa.select(TaskEdgeRow.parent_id, TaskEdgeRow.child_id)).all()
        links = session.execute(
            sa.select(
                ExperimentTaskRow.position, ExperimentTaskRow.task_id, ExperimentTaskRow.reused
            ).order_by(ExperimentTaskRow.position)
        ).all()
    assert {tuple(edge) for edge in edges} == {
        (tasks[parent].id, tasks[task.key].id) for task in PLANNED for parent in task.parents
    }
    assert [tuple(link) for link in links] == [
        (place, tasks[task.key].id, False) for place, task in enumerate(PLANNED)
    ]


def test_what_was_cancelled_gets_another_generation(lab: Lab) -> None:
    for generation in (1, 2, 3):
        again, _ = lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
        assert {row.generation for row in tasks_of(lab).values()} == {generation}
        lab.experiments.cancel(again.id)


def test_shared_tasks_are_written_only_where_they_become_more_urgent(lab: Lab) -> None:
    def versions() -> set[str]:
        with lab.database.transaction() as session:
            return set(session.scalars(sa.select(sa.text("xmin::text")).select_from(TaskRow)))

    def submit(priority: Priority) -> None:
        lab.experiments.submit(STUDY, owner="ann", idempotency_key=None, priority=priority)

    submit(Priority.NORMAL)
    before = versions()
    submit(Priority.NORMAL)
    submit(Priority.BACKGROUND)
    assert versions() == before
    submit(Priority.INTERACTIVE)
    assert versions().isdisjoint(before)
