"""The commands of ``replicalab`` and their options.

Commands import what they need when they run: ``--help`` must not wait for models, HTTP or servers.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from replicalab.cli import account_commands, export_commands, measure_commands
from replicalab.cli.groups import GROUPS

if TYPE_CHECKING:
    from replicalab.cli.experiments import Commands

EPILOG = (
    "Exit codes: 0 done, 1 the experiment did not succeed, 2 the command or specification must be "
    "changed, 3 the service does not answer, 130 interrupted."
)

app = typer.Typer(
    name="replicalab",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would double the time that --help takes
    epilog=EPILOG,
)


class Form(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    LATEX = "latex"


Experiment = Annotated[UUID, typer.Argument(help="Id of the experiment.")]
File = Annotated[str | None, typer.Argument(help="Specification as JSON; - reads standard input.")]
Preset = Annotated[str | None, typer.Option(help="A ready specification; see `presets`.")]
Data = Annotated[
    Path | None, typer.Option(help="Folder of databases and artifacts; ./var by default.")
]
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port of the REST interface; 8000 if free.")
]


@app.callback()
def main_options(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="REPLICALAB_URL",
            help="Address of the service; else the embedded stack that runs here. "
            "The token is read from REPLICALAB_TOKEN, or from what login has stored.",
        ),
    ] = None,
) -> None:
    """Measure what is lost when a generative model's samples replace a training set."""
    context.obj = url


@contextmanager
def _commands(context: typer.Context) -> Iterator["Commands"]:
    from rich.console import Console

    from replicalab.cli.experiments import Commands
    from replicalab.client.lab import Lab

    with Lab(context.obj) as lab:
        yield Commands(lab, Console(), Console(stderr=True))


@app.command()
def up(data: Data = None, port: Port = None) -> None:
    """Run the embedded stack until Ctrl-C."""
    from rich.console import Console

    from replicalab.cli import embedded

    embedded.up(Console(), data, port)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the report and the table.")] = Path(
        "demo-output"
    ),
    data: Data = None,
    port: Port = None,
) -> None:
    """Run the digits study, up to its report.

    Starts the embedded stack, submits over REST, watches, and stops what it started.
    """
    from rich.console import Console

    from replicalab.cli import embedded

    embedded.demo(Console(), Console(stderr=True), data, port, output)


@app.command()
def submit(
    context: typer.Context,
    file: File = None,
    preset: Preset = None,
    watch: Annotated[bool, typer.Option(help="Watch it and print results.")] = False,
    key: Annotated[
        str | None, typer.Option(help="Idempotency-Key; repeating the command is then safe.")
    ] = None,
) -> None:
    """Submit a specification; print its id."""
    with _commands(context) as commands:
        commands.submit(file, preset, key, is_watched=watch)


@app.command()
def validate(context: typer.Context, file: File = None, preset: Preset = None) -> None:
    """Say what submitting would do.

    Tasks, what is there already, network evaluations, time.
    """
    with _commands(context) as commands:
        commands.validate(file, preset)


@app.command()
def watch(context: typer.Context, experiment: Experiment) -> None:
    """Show progress, and at the end results."""
    with _commands(context) as commands:
        commands.watch(experiment)


@app.command("list")
def list_experiments(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    name: Annotated[str | None, typer.Option(help="Only with this text in the name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> None:
    """List experiments, newest first."""
    with _commands(context) as commands:
        commands.list(state, name, limit)


@app.command()
def show(context: typer.Context, experiment: Experiment) -> None:
    """Show an experiment and its tasks."""
    with _commands(context) as commands:
        commands.show(experiment)


@app.command()
def results(
    context: typer.Context,
    experiment: Experiment,
    form: Annotated[Form, typer.Option("--format", help="How to print them.")] = Form.TABLE,
) -> None:
    """Print measurements of every t_re.

    Tables show value, interval and n; json and csv hold everything; latex is the table of the
    report, which has to be there.
    """
    with _commands(context) as commands:
        commands.results(experiment, form.value)


@app.command()
def cancel(context: typer.Context, experiment: Experiment) -> None:
    """Cancel an experiment.

    Tasks that other experiments need as well go on.
    """
    with _commands(context) as commands:
        commands.cancel(experiment)


@app.command()
def retry(context: typer.Context, experiment: Experiment) -> None:
    """Try a failed or cancelled experiment again.

    Prints the id of the new one, which takes over what had succeeded; of the same one where tasks
    were in quarantine.
    """
    with _commands(context) as commands:
        commands.retry(experiment)


@app.command()
def clone(context: typer.Context, experiment: Experiment) -> None:
    """Print the specification, to change and submit."""
    with _commands(context) as commands:
        commands.clone(experiment)


@app.command()
def diff(context: typer.Context, left: Experiment, right: Experiment) -> None:
    """Show where two specifications differ."""
    with _commands(context) as commands:
        commands.diff(left, right)


@app.command()
def download(
    context: typer.Context,
    experiment: Experiment,
    name: Annotated[str | None, typer.Argument(help="Of the artifact; all if left out.")] = None,
    task: Annotated[str | None, typer.Option(help="Only of the task with this key.")] = None,
    output: Annotated[Path, typer.Option(help="Folder.")] = Path(),
) -> None:
    """Download artifacts.

    Files appear when they are whole and their digest is right.
    """
    with _commands(context) as commands:
        commands.download(experiment, name, task, output)


@app.command("train-generator")
def train_generator(
    context: typer.Context,
    file: File = None,
    output: Annotated[Path, typer.Option(help="Folder.")] = Path("generator"),
) -> None:
    """Train a generator and store its weights.

    Without a file: on the digits. Stores weights, description and training curve.
    """
    with _commands(context) as commands:
        commands.train_generator(file, output)


app.command()(export_commands.export)
app.command("import-experiment")(export_commands.import_experiment)
app.command()(export_commands.verify)
app.command()(measure_commands.measure)
app.command()(account_commands.login)
app.command()(account_commands.whoami)
for group in GROUPS:
    app.add_typer(group)


@app.command()
def presets() -> None:
    """List the ready specifications."""
    from replicalab.cli.specifications import PRESETS

    for name, preset in PRESETS.items():
        summary = (preset.__doc__ or "").partition("\n")[0]
        typer.echo(f"{name:24s}{summary.replace('``', '')}")


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    typer.echo(f"replicalab {version_of('replicalab')}")


def main() -> None:
    """Run the command line; errors become panels and exit codes."""
    from replicalab.errors import ReplicaLabError

    try:
        app()
    except ReplicaLabError as error:
        from rich.console import Console

        from replicalab.cli.exits import exit_code_of
        from replicalab.cli.panels import show_error

        show_error(Console(stderr=True), error)
        sys.exit(exit_code_of(error))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("replicalab."):
            raise
        from replicalab.cli.exits import exit_for_missing_package

        exit_for_missing_package(error.name)
