"""Random histories of the engine on a real PostgreSQL, step by step against the model."""

import os
import time
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from replicalab.db.database import Database
from replicalab.db.models import AttemptRow, ExperimentRow, ExperimentTaskRow, TaskRow
from replicalab.domain.measures import AccuracyMeasure
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.engine.failures import POLICIES, FailureClass
from replicalab.engine.task_store import BeatAnswer
from replicalab.errors import IllegalTransition
from replicalab.planning.plan import plan
from tests.integration.engine.conftest import LEASE_SECONDS, MAX_LOST, Lab
from tests.integration.engine.model import Model

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SPECS = [
    ExperimentSpec(name="a", t_re=t_re, classifier_seeds=seeds, measures=(AccuracyMeasure(),))
    for t_re, seeds in [((0,), (0,)), ((0,), (0, 1)), ((0, 18), (0,))]
]
Claim = tuple[int, int]


class Engine(RuleBasedStateMachine):
    """Every rule acts on the database and on the model; answers and states must agree."""

    lab: Lab
    claims: Bundle[Claim] = Bundle("claims")
    experiments: Bundle[UUID] = Bundle("experiments")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(LEASE_SECONDS, MAX_LOST)
        self.began = time.monotonic()
        self.stop_clock()
        self.ended: dict[int, TaskState] = {}
        roots = "experiments, tasks, usage, events"
        with self.lab.database.transaction() as session:
            session.execute(sa.text(f"TRUNCATE {roots} RESTART IDENTITY CASCADE"))

    @rule(target=experiments, spec=st.sampled_from(SPECS))
    def submit(self, spec: ExperimentSpec) -> UUID:
        experiment, _ = self.lab.experiments.submit(spec, owner="ann", idempotency_key=None)
        with self.lab.database.transaction() as session:
            ids = dict(
                session.execute(
                    sa.select(TaskRow.key, TaskRow.id)
                    .join(ExperimentTaskRow, ExperimentTaskRow.task_id == TaskRow.id)
                    .where(ExperimentTaskRow.experiment_id == experiment.id)
                ).all()
            )
        self.model.submit(experiment.id, plan(spec), ids)
        return experiment.id

    @precondition(lambda self: self.model.tasks)
    @rule(target=claims, data=st.data(), worker=st.sampled_from(["w1", "w2"]))
    def claim(self, data: st.DataObject, worker: str) -> "Claim":
        likely = [i for i in self.model.tasks if self.model.can_claim(i)]
        task_id = data.draw(st.sampled_from(likely or sorted(self.model.tasks)))
        claimed = self.lab.tasks.claim(task_id, worker)
        assert (claimed is not None) == self.model.can_claim(task_id)
        if claimed is None:
            return multiple()  # type: ignore[return-value]
        self.model.claim(task_id, claimed.epoch)
        return task_id, claimed.epoch

    @rule(claim=claims)
    def beat(self, claim: Claim) -> None:
        answer = self.lab.tasks.beat(*claim, 0.5, "half way")
        if not self.model.owns(*claim):
            assert answer is BeatAnswer.FENCED
            return
        task = self.model.tasks[claim[0]]
        assert answer is (BeatAnswer.CANCEL if task.cancel_requested else BeatAnswer.GO_ON)
        task.lease_until = self.model.now + LEASE_SECONDS

    @rule(claim=claims)
    def complete(self, claim: Claim) -> None:
        done = self.lab.tasks.complete(*claim, [], [])
        assert done == self.model.owns(*claim)
        if done:
            self.model.complete(claim[0])

    @rule(claim=claims, failure=st.sampled_from(sorted(POLICIES)))
    def fail(self, claim: Claim, failure: FailureClass) -> None:
        done = self.lab.tasks.fail(*claim, failure, "it failed")
        assert done == self.model.owns(*claim)
        if done:
            self.model.fail(claim[0], failure)

    @rule(claim=consumes(claims))
    def stop(self, claim: Claim) -> None:
        done = self.lab.tasks.stop(*claim)
        assert done == self.model.owns(*claim)
        if done:
            self.model.stop(claim[0])

    @rule(claim=claims)
    def lose(self, claim: Claim) -> None:
        done = self.lab.tasks.lose(*claim, "exit code -9")
        assert done == self.model.owns(*claim)
        if done:
            self.model.lose(claim[0])

    @rule(experiment_id=experiments)
    def cancel(self, experiment_id: UUID) -> None:
        experiment = self.model.experiments[experiment_id]
        is_cancelled = experiment.state is ExperimentState.CANCELLED
        if experiment.state.is_terminal and not is_cancelled:
            with pytest.raises(IllegalTransition):
                self.lab.experiments.cancel(experiment_id)
            return
        self.lab.experiments.cancel(experiment_id)
        if not is_cancelled:
            self.model.cancel(experiment_id)

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS * 2, 1000.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.model.now += seconds
        self.stop_clock()

    @rule()
    def reconcile(self) -> None:
        healed = self.lab.reconciler.reconcile()
        assert (healed["stuck-blocked"], healed["stale-experiments"]) == (0, 0)
        self.model.reconcile()

    def stop_clock(self) -> None:
        """Let the database's clock show what the model's does: a slow step costs no time."""
        SHIFT.seconds = self.model.now - (time.monotonic() - self.began)

    @invariant()
    def database_and_model_agree(self) -> None:
        self.stop_clock()
        states = self.lab.states()
        assert states == {i: task.state for i, task in self.model.tasks.items()}
        for task_id, state in self.ended.items():
            assert states[task_id] is state, "a terminal state changed"
        self.ended = {i: state for i, state in states.items() if state.is_terminal}
        with self.lab.database.transaction() as session:
            experiments = dict(
                session.execute(sa.select(ExperimentRow.id, ExperimentRow.state)).all()
            )
            successes = session.scalars(
                sa.select(AttemptRow.task_id).where(AttemptRow.outcome == "succeeded")
            ).all()
        assert experiments == {i: e.state for i, e in self.model.experiments.items()}
        assert len(successes) == len(set(successes))

    @invariant()
    def what_waits_is_needed(self) -> None:
        needed = {
            id(task)
            for experiment in self.model.experiments.values()
            if not experiment.state.is_terminal
            for task in experiment.tasks
        }
        for task in self.model.tasks.values():
            is_idle = not task.state.is_terminal and task.state is not TaskState.RUNNING
            assert not is_idle or id(task) in needed


class _Shift:
    """How far the database's clock runs ahead, for every transaction that begins."""

    seconds = 0.0

    def apply(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL replicalab.clock_shift = '{self.seconds} seconds'")


SHIFT = _Shift()


def test_the_engine_and_its_model_never_disagree(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url)
    sa.event.listen(database.engine, "begin", SHIFT.apply)
    Engine.lab = Lab(database, tmp_path)
    run_state_machine_as_test(
        Engine,
        settings=settings(
            max_examples=int(os.environ.get("STATE_MACHINE_EXAMPLES", "25")),
            stateful_step_count=40,
            deadline=None,
            derandomize="STATE_MACHINE_EXAMPLES" not in os.environ,
            database=None,
            phases=[Phase.generate],  # shrinking replays hundreds of histories on a real server
            suppress_health_check=list(HealthCheck),
        ),
    )
    database.close()
