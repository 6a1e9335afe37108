"""The command line before it talks to anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from replicalab.cli.app import app
from replicalab.cli.exits import ExitCode, exit_code_of
from replicalab.domain.datasets import ImageFolderDataset
from replicalab.errors import (
    ArtifactCorrupt,
    DatabaseUnavailable,
    Defect,
    ExperimentNotFound,
    IdempotencyConflict,
    NonFiniteNumber,
    ReplicaLabError,
    ServiceUnreachable,
    Unauthenticated,
)

HEAVY = ("httpx", "pydantic", "rich.console", "sqlalchemy", "numpy", "celery", "torch")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from replicalab.cli.app import main; main()", *arguments]
    clean = {name: value for name, value in os.environ.items() if "REPLICALAB" not in name}
    return subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom replicalab.cli.app import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        f"heavy = set(sys.modules) & set({HEAVY!r})\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)


def test_every_command_explains_itself_in_a_line() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert "..." not in text.partition("Commands:")[2]
    for name in (
        "up",
        "demo",
        "submit",
        "validate",
        "watch",
        "list",
        "show",
        "results",
        "cancel",
        "measure",
        "download",
        "train-generator",
        "login",
        "whoami",
        "tokens",
        "version",
    ):
        assert f"\n  {name} " in text


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(app, ["version"]).output.startswith("replicalab ")


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["show"], ["show", "no-uuid"], ["list", "--limit", "0"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == ExitCode.USAGE


def test_without_a_service_the_panel_says_what_to_do(tmp_path: os.PathLike[str]) -> None:
    done = run("list", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == ExitCode.UNAVAILABLE
    assert "The ReplicaLab service does not answer" in done.stderr
    assert "replicalab up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NonFiniteNumber, ExitCode.USAGE),
        (Unauthenticated, ExitCode.USAGE),
        (ExperimentNotFound, ExitCode.USAGE),
        (IdempotencyConflict, ExitCode.USAGE),
        (ServiceUnreachable, ExitCode.UNAVAILABLE),
        (DatabaseUnavailable, ExitCode.UNAVAILABLE),
        (ArtifactCorrupt, ExitCode.FAILED),
        (Defect, ExitCode.FAILED),
        (ReplicaLabError, ExitCode.FAILED),
    ],
)
def test_exit_codes_follow_the_families(error: type[ReplicaLabError], code: ExitCode) -> None:
    assert exit_code_of(error("why")) is code


def test_presets_are_listed_with_what_they_are() -> None:
    finished = run("presets")
    assert finished.returncode == 0
    for name in ("digits", "paper-cifar10", "paper-cifar100", "fast-cifar10"):
        assert f"{name} " in finished.stdout


def test_a_folder_of_images_is_described_as_a_specification(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (9, 8)).save(tmp_path / "pets" / name / f"{number}.png")
    finished = run("datasets", "describe", str(tmp_path / "pets"), "--name", "lab/pets")
    described = ImageFolderDataset.model_validate_json(finished.stdout)
    assert (described.folder, described.resolution, described.channels) == ("lab/pets", 8, 1)
    refused = run("datasets", "describe", str(tmp_path))
    assert refused.returncode == ExitCode.USAGE
    assert "is not the data set described" in refused.stderr
