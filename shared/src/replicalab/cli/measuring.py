"""What ``replicalab measure`` does and prints."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from replicalab.cli.progress import LINE_SECONDS
from replicalab.comparisons.choices import LABELLED_MEASURES, chosen_measures
from replicalab.comparisons.compare import compare
from replicalab.comparisons.parts import Report
from replicalab.domain.features import DinoFeatures, InceptionFeatures
from replicalab.domain.measures import KernelSubsets, Measurement
from replicalab.domain.tables import measurements_csv

STANDARD_OUTPUT = "-"
COMMON = (
    "space",
    "extractor_sha256",
    "dimension",
    "resize",
    "real_form",
    "fake_form",
    "n_reference",
    "n_fake",
)
"""What a recipe says that holds for every measure of a comparison."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where results, progress and files go.

    Attributes:
        console: Of the table.
        notes: Of progress and remarks.
        json: File, or - for standard output.
        csv: File, or - for standard output.
    """

    console: Console
    notes: Console
    json: str | None
    csv: str | None

    def check(self) -> None:
        """Refuse, before anything is computed, what could not be written afterwards."""
        if self.json == self.csv == STANDARD_OUTPUT:
            raise typer.BadParameter("only one of --json and --csv can be -")
        for file in (self.json, self.csv):
            if file and file != STANDARD_OUTPUT and not Path(file).absolute().parent.is_dir():
                raise typer.BadParameter(f"the folder of {file} is not there")

    def show(self, measurements: Sequence[Measurement]) -> None:
        """Write the files, and the table unless standard output is taken."""
        if self.json:
            rows = [measurement.model_dump(mode="json") for measurement in measurements]
            _write(self.json, json.dumps({"measurements": rows}, indent=1, allow_nan=False) + "\n")
        if self.csv:
            _write(self.csv, measurements_csv(measurements))
        if STANDARD_OUTPUT not in (self.json, self.csv):
            self.console.print(_table(measurements))
            self.console.print(_facts(measurements))
        forms = {key: measurements[0].recipe.get(key) for key in ("real_form", "fake_form")}
        if len(set(forms.values())) > 1:
            self.notes.print(
                f"Real images are {forms['real_form']}, generated ones {forms['fake_form']}: "
                "values also say how they were resized.",
                style="yellow",
            )


def extractor_of(
    space: str | None, dimension: int | None, weights_sha256: str | None
) -> InceptionFeatures | DinoFeatures | None:
    """The network that options ask for; None where they ask for none."""
    given = {"dimension": dimension, "weights_sha256": weights_sha256}
    options = {name: value for name, value in given.items() if value is not None}
    if space is None and not options:
        return None
    kind = DinoFeatures if space == DinoFeatures().kind else InceptionFeatures
    with _usage():
        return kind.model_validate(options)


def subsets_of(count: int | None, size: int, seed: int) -> KernelSubsets | None:
    """The subsets that options ask for; None where they ask for none."""
    if count is None:
        return None
    with _usage():
        return KernelSubsets(count=count, size=size, seed=seed)


@contextmanager
def _usage() -> Iterator[None]:
    """Turn what a model refuses into what the command line says of its options."""
    try:
        yield
    except ValidationError as error:
        problem = error.errors()[0]
        raise typer.BadParameter(f"{problem['loc'][0]}: {problem['msg']}") from error


def run(
    outputs: Outputs,
    real: Path,
    fake: Path,
    names: str | None,
    neighbours: int | None,
    subsets: KernelSubsets | None,
    extractor: InceptionFeatures | DinoFeatures | None,
) -> None:
    """Measure, and print what was found."""
    outputs.check()
    kinds = [name.strip() for name in names.split(",")] if names else []
    labelled = [] if kinds else [measure.kind for measure in LABELLED_MEASURES]
    with _progress(outputs.notes) as report:
        found = compare(
            real,
            fake,
            measures=chosen_measures(kinds, neighbours=neighbours, subsets=subsets),
            if_labelled=chosen_measures(labelled, neighbours=neighbours) if labelled else (),
            extractor=extractor,
            report=report,
        )
    outputs.show(found)


def _progress(notes: Console) -> AbstractContextManager[Report]:
    """On a terminal a bar, else as few lines; a quick comparison prints none."""
    return _bar(notes) if notes.is_terminal else nullcontext(_Lines(notes))


class _Lines:
    def __init__(self, notes: Console) -> None:
        self._notes = notes
        self._shown_at = time.monotonic()

    def __call__(self, done: float, total: float, stage: str) -> None:
        if time.monotonic() - self._shown_at >= LINE_SECONDS:
            self._shown_at = time.monotonic()
            line = f"{stage} {done / total:4.0%}"
            self._notes.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _bar(notes: Console) -> Iterator[Report]:
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=notes, transient=True) as bars:
        bar = bars.add_task("")

        def report(done: float, total: float, stage: str) -> None:
            bars.update(bar, completed=done, total=total, description=stage)

        yield report


def _write(file: str, text: str) -> None:
    if file == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    try:
        Path(file).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}") from error


def _table(measurements: Sequence[Measurement]) -> Table:
    table = Table()
    table.add_column("measure", no_wrap=True)
    for heading in ("value", "interval", "n"):
        table.add_column(heading, justify="right")
    table.add_column("recipe")
    for measurement in measurements:
        interval = measurement.interval
        own = {key: value for key, value in measurement.recipe.items() if key not in COMMON}
        unit = "" if measurement.unit == "1" else measurement.unit
        table.add_row(
            Text("\n".join(filter(None, (measurement.name, measurement.part, unit)))),
            f"{measurement.value:.6g}",
            "" if interval is None else Text(f"[{interval.low:.4g}, {interval.high:.4g}]"),
            str(measurement.n),
            Text("\n".join(f"{key} {value}" for key, value in own.items())),
        )
    return table


def _facts(measurements: Sequence[Measurement]) -> Table:
    """What all values have in common; one that names no reference says less than others."""
    facts = Table.grid(padding=(0, 2))
    recipe = {key: value for each in measurements for key, value in each.recipe.items()}
    for key in COMMON:
        if recipe.get(key):
            facts.add_row(key, Text(str(recipe[key])))
    return facts
