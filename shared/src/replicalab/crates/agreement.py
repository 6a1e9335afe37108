"""Whether the documents of an archive agree with each other."""

from replicalab.crates.layout import PLAN, RESULTS_JSON, SPEC, place_of
from replicalab.domain.exports import ExportedPlan, ExportedTask, Included
from replicalab.domain.resources import Results
from replicalab.domain.specs import AnySpec
from replicalab.domain.states import ExperimentState, TaskState, experiment_state
from replicalab.domain.tasks import TaskKey
from replicalab.file_errors import InvalidExport
from replicalab.planning.keys import key_of


def check_agreement(plan: ExportedPlan, spec: AnySpec, results: Results) -> None:
    """Raise ``InvalidExport`` where the documents of one archive contradict each other."""
    experiment = plan.experiment
    if (experiment.name, experiment.kind) != (spec.name, spec.kind):
        raise InvalidExport(f"{PLAN} and {SPEC} are of different experiments.")
    if results.experiment_id != experiment.id:
        raise InvalidExport(f"{PLAN} and {RESULTS_JSON} are of different experiments.")
    known: set[TaskKey] = set()
    for task in plan.tasks:
        _check_task(task, known, plan.included)
        known.add(task.key)
    if any(row.task_key not in known for row in results.items):
        raise InvalidExport(f"{RESULTS_JSON} has a result of a task that {PLAN} does not have.")
    _check_end(plan)


def _check_task(task: ExportedTask, known: set[TaskKey], included: Included) -> None:
    if task.key in known:
        raise InvalidExport(f"{PLAN} has the task {task.key} twice.")
    if any(one.key not in known for one in task.inputs):
        raise InvalidExport(f"{PLAN}: the task {task.key} reads from one that does not precede it.")
    if task.version is not None:
        key = key_of(task.kind, task.version, task.parameters, task.inputs)
        if key != task.key:
            raise InvalidExport(
                f"{PLAN}: the task {task.key} is another one: its parameters and inputs give {key}."
            )
    _check_artifacts(task, included)


def _check_artifacts(task: ExportedTask, included: Included) -> None:
    if task.artifacts and task.state is not TaskState.SUCCEEDED:
        raise InvalidExport(f"{PLAN}: the task {task.key} has artifacts and did not succeed.")
    if len({artifact.name for artifact in task.artifacts}) != len(task.artifacts):
        raise InvalidExport(f"{PLAN}: the task {task.key} has an artifact twice.")
    for artifact in task.artifacts:
        place = place_of(task.kind, task.key, artifact.name, artifact.ref, included)
        if artifact.path != place:
            raise InvalidExport(f"{PLAN}: {artifact.name} of {task.key} is not in its place.")


def _check_end(plan: ExportedPlan) -> None:
    state = plan.experiment.state
    states = {task.state for task in plan.tasks}
    has_succeeded = (
        experiment_state(states, old=ExperimentState.QUEUED) is ExperimentState.SUCCEEDED
    )
    if not state.is_terminal or (state is ExperimentState.SUCCEEDED) != has_succeeded:
        raise InvalidExport(f"{PLAN}: the tasks are not those of an experiment that has {state}.")
