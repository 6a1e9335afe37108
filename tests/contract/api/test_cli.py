"""Commands against the real gateway, through a real socket."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from replicalab.cli.app import app
from replicalab.cli.exits import ExitCode
from replicalab.cli.experiments import TRAINING_ARTIFACTS
from replicalab.client.lab import Lab
from replicalab.domain.presets import digits_study
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Queue
from replicalab.errors import ArtifactNotFound, ExperimentNotFound, InvalidRequest
from tests.contract.api.conftest import TOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SPEC = ExperimentSpec(name="of the CLI", t_re=(0, 9), classifier_seeds=(0,))
RunCommand = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "spec.json"
    path.write_text(SPEC.model_dump_json())
    return str(path)


@pytest.fixture
def command(server: str) -> RunCommand:
    environment = {"REPLICALAB_URL": server, "REPLICALAB_TOKEN": TOKEN, "COLUMNS": "200"}
    runner = CliRunner(env=environment)

    def run(*arguments: str) -> Result:
        result: Result = runner.invoke(app, arguments)
        return result

    return run


@pytest.fixture
def experiment(server: str) -> str:
    with Lab(server, TOKEN) as lab:
        return str(lab.submit(SPEC).id)


def test_submit_prints_the_id_alone(command: RunCommand, file: str) -> None:
    first = command("submit", file, "--key", "once")
    assert first.exit_code == 0
    assert command("submit", file, "--key", "once").stdout == first.stdout
    assert command("show", first.stdout.strip()).exit_code == 0


def test_presets_need_no_file(command: RunCommand) -> None:
    assert command("submit", "--preset", "digits").exit_code == 0
    assert digits_study().name in command("list").stdout


def test_validate_counts_what_would_run(command: RunCommand, file: str, experiment: str) -> None:
    text = command("validate", file).stdout
    assert "train-classifier" in text
    assert "network evaluations" in text
    assert experiment not in text


@pytest.mark.usefixtures("working")
def test_submit_and_watch_end_with_results(command: RunCommand, file: str) -> None:
    result = command("submit", file, "--watch")
    assert result.exit_code == 0
    assert "[0.25, 0.75]" in result.stdout
    assert "succeeded 100%" in result.stderr


def test_a_cancelled_experiment_is_no_success(command: RunCommand, experiment: str) -> None:
    assert "cancelled" in command("cancel", experiment).stdout
    result = command("watch", experiment)
    assert result.exit_code == ExitCode.FAILED
    assert "not all results" in result.stderr


def test_lists_can_be_narrowed(command: RunCommand, experiment: str) -> None:
    assert experiment in command("list", "--state", "queued", "--name", "CLI").stdout
    assert experiment not in command("list", "--state", "failed").stdout
    assert isinstance(command("list", "--state", "nothing").exception, InvalidRequest)


def test_results_for_other_programs(
    command: RunCommand, experiment: str, run_one_task: Callable[[Queue], str]
) -> None:
    run_one_task(Queue.WORKER)
    assert json.loads(command("results", experiment, "--format", "json").stdout)["items"]
    text = command("results", experiment, "--format", "csv").stdout_bytes.decode()
    assert text.startswith("name,version,t_re,")
    assert "accuracy" in command("results", experiment).stdout


def test_the_table_of_a_report_is_printed_for_latex(command: RunCommand, finished: str) -> None:
    experiment = finished.rpartition("/")[2]
    result = command("results", experiment, "--format", "latex")
    assert result.exit_code == 0
    assert result.stdout.startswith("table.tex of ")


def test_without_a_report_there_is_no_table_to_print(command: RunCommand, experiment: str) -> None:
    found = command("results", experiment, "--format", "latex")
    assert isinstance(found.exception, ArtifactNotFound)


def test_downloads_say_where_they_went(
    command: RunCommand,
    experiment: str,
    run_one_task: Callable[[Queue], str],
    tmp_path: Path,
) -> None:
    for _ in range(2):
        run_one_task(Queue.WORKER)
    paths = command("download", experiment, "--output", str(tmp_path / "out")).stdout.split()
    assert len(set(paths)) == 2
    assert all(Path(path).stat().st_size for path in paths)


@pytest.mark.usefixtures("working")
def test_training_leaves_weights_description_and_curve(command: RunCommand, tmp_path: Path) -> None:
    result = command("train-generator", "--output", str(tmp_path / "generator"))
    assert result.exit_code == 0
    assert [Path(path).name for path in result.stdout.split()] == list(TRAINING_ARTIFACTS)
    assert {path.name for path in (tmp_path / "generator").iterdir()} == set(TRAINING_ARTIFACTS)


def test_training_takes_no_study(command: RunCommand, file: str) -> None:
    assert isinstance(command("train-generator", file).exception, InvalidRequest)


def test_what_is_not_there_is_an_error(command: RunCommand, experiment: str) -> None:
    missing = "01890000-0000-7000-8000-000000000000"
    assert isinstance(command("show", missing).exception, ExperimentNotFound)
    assert command("download", experiment, "none").exception is not None
