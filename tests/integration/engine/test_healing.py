"""The healer goes through tasks and experiments a part at a time, and misses none."""

import pytest
import sqlalchemy as sa

from replicalab.domain.datasets import DigitsDataset
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.engine.healing import Healer
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration
STUDIES = 3
TASKS_OF_A_STUDY = 9
ONE_MISCOUNTED = "UPDATE tasks SET unmet = unmet + 1 WHERE id = 2"


@pytest.fixture
def studies(lab: Lab) -> None:
    """Studies without a task in common, none of which has begun."""
    for seed in range(STUDIES):
        spec = STUDY.model_copy(update={"dataset": DigitsDataset(split_seed=seed)})
        lab.experiments.submit(spec, owner="ann", idempotency_key=None)
    assert len(lab.states()) == TASKS_OF_A_STUDY * STUDIES


def damage(lab: Lab, statement: str) -> None:
    with lab.database.transaction() as session:
        session.execute(sa.text(statement))


@pytest.mark.usefixtures("studies")
def test_a_pass_looks_at_a_part_and_the_next_one_goes_on(lab: Lab) -> None:
    damage(lab, "UPDATE tasks SET unmet = unmet + 1 WHERE state = 'blocked'")
    healer = Healer(lab.database, tasks_at_once=TASKS_OF_A_STUDY)
    assert [healer.heal()["stuck-blocked"] for _ in range(STUDIES)] == [
        TASKS_OF_A_STUDY - 1
    ] * STUDIES
    damage(lab, ONE_MISCOUNTED)
    assert healer.heal()["stuck-blocked"] == 1  # from the beginning again


@pytest.mark.usefixtures("studies")
def test_experiments_come_round_as_well(lab: Lab) -> None:
    healer = Healer(lab.database, experiments_at_once=2)
    damage(lab, "UPDATE experiments SET state = 'needs-attention'")
    assert [healer.heal()["stale-experiments"] for _ in range(3)] == [2, 1, 0]
    damage(lab, "UPDATE experiments SET state = 'needs-attention'")
    assert [healer.heal()["stale-experiments"] for _ in range(2)] == [1, 2]
    with lab.database.transaction() as session:
        states = session.scalars(sa.text("SELECT DISTINCT state FROM experiments")).all()
    assert states == [ExperimentState.RUNNING]


@pytest.mark.usefixtures("studies")
def test_a_task_that_somebody_moves_is_left_alone(lab: Lab) -> None:
    damage(lab, ONE_MISCOUNTED)
    healer = Healer(lab.database)
    with lab.database.transaction() as session:
        session.execute(sa.text("SELECT 1 FROM tasks WHERE id = 2 FOR UPDATE"))
        assert healer.heal()["stuck-blocked"] == 0
    assert healer.heal()["stuck-blocked"] == 1


@pytest.mark.usefixtures("studies")
def test_what_waits_for_nothing_any_more_is_queued(lab: Lab) -> None:
    damage(
        lab,
        "UPDATE tasks SET state = 'succeeded', ended_at = rl_now() WHERE kind = 'prepare-dataset'",
    )
    assert Healer(lab.database).heal()["stuck-blocked"] > 0
    lab.run_everything()
    assert set(lab.states().values()) == {TaskState.SUCCEEDED}


@pytest.mark.usefixtures("studies")
def test_what_waits_though_it_was_cancelled_ends(lab: Lab) -> None:
    damage(lab, "UPDATE tasks SET cancel_requested = true WHERE state = 'queued'")
    healer = Healer(lab.database)
    assert healer.heal()["unwanted"] == STUDIES
    assert set(lab.states().values()) == {TaskState.CANCELLED, TaskState.UPSTREAM_FAILED}
    assert healer.heal()["unwanted"] == 0
