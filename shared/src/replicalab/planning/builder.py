"""Collecting the tasks of a plan."""

from collections.abc import Iterable

from replicalab.domain.models import Frozen
from replicalab.domain.tasks import TaskDefinition, TaskInput, TaskKey, TaskParams
from replicalab.planning.keys import task_key


class Plan(Frozen):
    """Tasks in topological order: every input stands before the task that reads it."""

    tasks: tuple[TaskDefinition, ...]
    evaluations: int
    """Network evaluations (NFE) of all reconstructions together."""


class PlanBuilder:
    """Collects tasks; the same task asked for twice is one task."""

    def __init__(self) -> None:
        self._tasks: dict[TaskKey, TaskDefinition] = {}
        self._evaluations = 0

    def add(
        self,
        params: TaskParams,
        inputs: Iterable[TaskInput] = (),
        *,
        work: float,
        evaluations: int = 0,
    ) -> TaskKey:
        """Add a task and return its key.

        Args:
            params: What to do.
            inputs: What it reads; their tasks were added before.
            work: Expected cost in the unit of the kind (images, image epochs, ...).
            evaluations: Network evaluations (NFE) it will make.
        """
        ordered = tuple(inputs)
        key = task_key(params, ordered)
        if key not in self._tasks:
            self._tasks[key] = TaskDefinition(key=key, params=params, inputs=ordered, work=work)
            self._evaluations += evaluations
        return key

    def build(self) -> Plan:
        """The plan of everything added."""
        return Plan(tasks=tuple(self._tasks.values()), evaluations=self._evaluations)
