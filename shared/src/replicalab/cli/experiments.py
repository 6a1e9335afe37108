"""Commands about experiments."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicalab.cli import tables
from replicalab.cli.exits import ExitCode
from replicalab.cli.progress import follow
from replicalab.cli.specifications import preset, read_specification
from replicalab.client.lab import Lab
from replicalab.domain import artifacts
from replicalab.domain.resources import ArtifactRead, ExperimentRead
from replicalab.domain.specs import TrainingSpec
from replicalab.domain.states import ExperimentState
from replicalab.errors import ArtifactNotFound, InvalidRequest

TRAINING_ARTIFACTS = (
    artifacts.GENERATOR_WEIGHTS,
    artifacts.GENERATOR_DESCRIPTION,
    artifacts.TRAINING_CURVE,
)


class Commands:
    """Each method is a command.

    Args:
        lab: The service.
        console: For results, on standard output.
        notes: For everything else, on standard error.
    """

    def __init__(self, lab: Lab, console: Console, notes: Console) -> None:
        self._lab = lab
        self._console = console
        self._notes = notes

    def submit(
        self, file: str | None, preset_name: str | None, key: str | None, *, is_watched: bool
    ) -> None:
        """Submit and print the id; watch and print results if asked to."""
        spec = read_specification(file, preset_name)
        experiment = self._lab.submit(spec, idempotency_key=key)
        self._console.print(str(experiment.id), highlight=False)
        if is_watched:
            self.watch(experiment.id)

    def validate(self, file: str | None, preset_name: str | None) -> None:
        """Print what submitting would do."""
        plan = self._lab.validate(read_specification(file, preset_name))
        self._console.print(tables.plan_table(plan))
        if plan.eta_seconds is None:
            time = "time unknown: nothing like it was measured yet"
        else:
            time = f"about {plan.eta_seconds:.0f} s on one worker"
        evaluations = f"{plan.evaluations:,} network evaluations"
        self._console.print(f"{len(plan.tasks)} tasks, {evaluations}, {time}", highlight=False)

    def watch(self, experiment: UUID) -> None:
        """Show progress until the end, then results; exit code 1 unless it succeeded."""
        ended = self.follow(experiment)
        self._show_results(experiment)
        if ended.state is not ExperimentState.SUCCEEDED:
            tables.show_failures(self._notes, self._lab.tasks(experiment))
            raise typer.Exit(ExitCode.FAILED)

    def follow(self, experiment: UUID) -> ExperimentRead:
        """Show progress until the end; Ctrl-C leaves the experiment running."""
        try:
            return follow(self._notes, self._lab.watch(experiment))
        except KeyboardInterrupt:
            self._notes.print(
                f"\nNo longer watching; the experiment goes on.\n"
                f"  replicalab watch {experiment}\n  replicalab cancel {experiment}",
                highlight=False,
            )
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    def list(self, state: str | None, name: str | None, limit: int) -> None:
        """Print the newest experiments."""
        if state is not None and state not in set(ExperimentState):
            raise InvalidRequest(f"The states are {', '.join(ExperimentState)}.")
        wanted = None if state is None else ExperimentState(state)
        found = islice(self._lab.list(state=wanted, name=name), limit)
        self._console.print(tables.experiments_table(found))

    def show(self, experiment: UUID) -> None:
        """Print everything about one experiment."""
        tables.show_experiment(
            self._console,
            self._lab.get(experiment),
            self._lab.tasks(experiment),
            self._lab.artifacts(experiment),
        )

    def results(self, experiment: UUID, form: str) -> None:
        """Print measurements, as tables or as text for other programs."""
        if form == "table":
            self._show_results(experiment)
            return
        if form == "latex":
            typer.echo(self._table_to_print(experiment), nl=False)
            return
        results = self._lab.results(experiment)
        text = results.to_csv() if form == "csv" else results.model_dump_json(indent=2) + "\n"
        typer.echo(text, nl=False)

    def _table_to_print(self, experiment: UUID) -> str:
        with TemporaryDirectory() as folder:
            path = self._lab.download(experiment, artifacts.RESULTS_TABLE, folder)
            return path.read_text("utf-8")

    def _show_results(self, experiment: UUID) -> None:
        results = self._lab.results(experiment)
        for table in tables.result_tables(results.items, self._console.width):
            self._console.print(table)
        if not results.is_complete:
            self._notes.print("These are not all results: the experiment has not succeeded.")

    def cancel(self, experiment: UUID) -> None:
        """Cancel and say so."""
        self._console.print(f"{experiment} {self._lab.cancel(experiment).state}", highlight=False)

    def retry(self, experiment: UUID) -> None:
        """Try again and print the id of what runs now."""
        self._console.print(str(self._lab.retry(experiment).id), highlight=False)

    def clone(self, experiment: UUID) -> None:
        """Print the specification as JSON."""
        self._console.out(self._lab.get(experiment).spec.model_dump_json(indent=2))

    def diff(self, left: UUID, right: UUID) -> None:
        """Print the fields that differ."""
        fields = self._lab.diff(left, right)
        if not fields:
            self._console.print("The specifications are equal.")
            return
        table = Table("field", str(left), str(right))
        for field in fields:
            table.add_row(field.path, Text(json.dumps(field.left)), Text(json.dumps(field.right)))
        self._console.print(table)

    def download(self, experiment: UUID, name: str | None, task: str | None, output: Path) -> None:
        """Download artifacts; those of one name into folders of their tasks if they are many."""
        found = [
            artifact
            for artifact in self._lab.artifacts(experiment)
            if name in {None, artifact.name} and artifact.task_key.startswith(task or "")
        ]
        if not found:
            raise ArtifactNotFound("The experiment has no such artifact, or not yet.")
        names = [artifact.name for artifact in found]
        for artifact in found:
            is_unique = names.count(artifact.name) == 1
            folder = (
                output if is_unique else output / f"{artifact.task_kind}-{artifact.task_key[:12]}"
            )
            self._say_where([self._lab.download(experiment, artifact, folder)])

    def train_generator(self, file: str | None, output: Path) -> None:
        """Train, watch, and store what came of it in ``output``."""
        spec = preset("digits-training") if file is None else read_specification(file, None)
        if not isinstance(spec, TrainingSpec):
            raise InvalidRequest("The specification must be of the kind generator-training.")
        experiment = self._lab.submit(spec)
        self._notes.print(f"training as experiment {experiment.id}", highlight=False)
        ended = self.follow(experiment.id)
        if ended.state is not ExperimentState.SUCCEEDED:
            tables.show_failures(self._notes, self._lab.tasks(experiment))
            raise typer.Exit(ExitCode.FAILED)
        found: dict[str, ArtifactRead] = {a.name: a for a in self._lab.artifacts(experiment)}
        wanted = [found[name] for name in TRAINING_ARTIFACTS]
        self._say_where([self._lab.download(experiment, item, output) for item in wanted])

    def _say_where(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._console.print(str(path), highlight=False, soft_wrap=True)
