"""What the engine should do, in a few dicts: the model its state machine is tested against."""

from dataclasses import dataclass, field
from uuid import UUID

from replicalab.domain.states import ExperimentState, TaskState, experiment_state
from replicalab.engine.failures import POLICIES, FailureClass
from replicalab.planning.builder import Plan

_DEAD = {TaskState.FAILED, TaskState.CANCELLED, TaskState.UPSTREAM_FAILED}


@dataclass
class ModelTask:
    """One generation of a task."""

    parents: list["ModelTask"]
    state: TaskState
    epoch: int = -1
    lost: int = 0
    failures: int = 0
    cancel_requested: bool = False
    lease_until: float = 0.0
    not_before: float = 0.0


@dataclass
class ModelExperiment:
    """An experiment and the tasks it needs."""

    tasks: list[ModelTask]
    state: ExperimentState = ExperimentState.QUEUED


@dataclass
class Model:
    """The whole installation."""

    lease_seconds: float
    max_lost: int
    now: float = 0.0
    living: dict[str, ModelTask] = field(default_factory=dict)
    tasks: dict[int, ModelTask] = field(default_factory=dict)
    experiments: dict[UUID, ModelExperiment] = field(default_factory=dict)

    def submit(self, experiment_id: UUID, plan: Plan, ids: dict[str, int]) -> None:
        """``ids`` are the rows the engine chose for the keys of the plan."""
        needed = []
        for task in plan.tasks:
            old = self.living.get(task.key)
            if old is None or old.state in _DEAD:
                parents = [self.living[key] for key in task.parents]
                waits = any(p.state is not TaskState.SUCCEEDED for p in parents)
                old = ModelTask(parents, TaskState.BLOCKED if waits else TaskState.QUEUED)
                self.living[task.key] = old
                self.tasks[ids[task.key]] = old
            old.cancel_requested = False
            needed.append(old)
        self.experiments[experiment_id] = ModelExperiment(needed)
        self.refresh()

    def claim(self, task_id: int, epoch: int) -> None:
        task = self.tasks[task_id]
        task.state, task.epoch = TaskState.RUNNING, epoch
        task.lease_until = self.now + self.lease_seconds
        self.refresh()

    def can_claim(self, task_id: int) -> bool:
        return self.tasks[task_id].state is TaskState.QUEUED

    def owns(self, task_id: int, epoch: int) -> bool:
        task = self.tasks[task_id]
        return task.state is TaskState.RUNNING and task.epoch == epoch

    def complete(self, task_id: int) -> None:
        self.tasks[task_id].state = TaskState.SUCCEEDED
        for task in self.tasks.values():
            if task.state is TaskState.BLOCKED and all(
                parent.state is TaskState.SUCCEEDED for parent in task.parents
            ):
                task.state = TaskState.QUEUED
        self.refresh()

    def fail(self, task_id: int, failure: FailureClass) -> None:
        task, policy = self.tasks[task_id], POLICIES[failure]
        task.failures += 1
        if task.cancel_requested:
            self._end(task, TaskState.CANCELLED)
        elif task.failures <= policy.retries:
            task.state = TaskState.RETRY_WAIT
            task.not_before = self.now + policy.delay_before(task.failures)
        else:
            self._end(task, TaskState.FAILED)
        self.refresh()

    def stop(self, task_id: int) -> None:
        task = self.tasks[task_id]
        self._end(task, TaskState.CANCELLED if task.cancel_requested else TaskState.QUEUED)
        self.refresh()

    def lose(self, task_id: int) -> None:
        task = self.tasks[task_id]
        task.lost += 1
        if task.cancel_requested:
            self._end(task, TaskState.CANCELLED)
        elif task.lost >= self.max_lost:
            task.state = TaskState.QUARANTINED
        else:
            task.state = TaskState.QUEUED
        self.refresh()

    def cancel(self, experiment_id: UUID) -> None:
        experiment = self.experiments[experiment_id]
        experiment.state = ExperimentState.CANCELLED
        others = [
            task
            for other in self.experiments.values()
            if not other.state.is_terminal and other is not experiment
            for task in other.tasks
        ]
        for task in experiment.tasks:
            if task.state.is_terminal or any(task is other for other in others):
                continue
            if task.state is TaskState.RUNNING:
                task.cancel_requested = True
            else:
                task.state = TaskState.CANCELLED
        self.refresh()

    def reconcile(self) -> None:
        for task_id, task in self.tasks.items():
            if task.state is TaskState.RUNNING and task.lease_until < self.now:
                self.lose(task_id)
            elif task.state is TaskState.RETRY_WAIT and task.not_before <= self.now:
                task.state = TaskState.QUEUED
        self.refresh()

    def refresh(self) -> None:
        """Experiments that have not ended follow their tasks."""
        for experiment in self.experiments.values():
            experiment.state = experiment_state(
                [task.state for task in experiment.tasks], old=experiment.state
            )

    def _end(self, task: ModelTask, state: TaskState) -> None:
        task.state = state
        if state in _DEAD:
            for child in self.tasks.values():
                if child.state is TaskState.BLOCKED and any(p is task for p in child.parents):
                    self._end(child, TaskState.UPSTREAM_FAILED)
