"""``replicalab measure``: table, files and exit codes."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from replicalab.cli.exits import ExitCode
from replicalab.comparisons.choices import chosen_measures
from replicalab.comparisons.compare import compare
from replicalab.domain.measures import Measurement

MAIN = "from replicalab.cli.app import main; main()"


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    draws = np.random.default_rng(0)
    paths = tmp_path / "real.npy", tmp_path / "fake.npy"
    for shift, path in enumerate(paths):
        np.save(path, draws.standard_normal((50, 4)) + shift)
    return paths


def measure(
    *arguments: str | Path, before: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", before + MAIN, "measure", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if "REPLICALAB" not in name}
    return subprocess.run(
        command,
        env=clean | {"COLUMNS": "120"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_table_says_value_interval_n_and_recipe(
    sides: tuple[Path, Path], tmp_path: Path
) -> None:
    arguments = ("--measures", "fid,prdc", "--neighbours", "4")
    files = ("--json", tmp_path / "found.json", "--csv", tmp_path / "found.csv")
    done = measure(*sides, *arguments, *files)
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    found = compare(*sides, measures=chosen_measures(["fid", "prdc"], neighbours=4))
    for measurement in found:
        (line,) = (line for line in done.stdout.splitlines() if f" {measurement.name} " in line)
        interval = measurement.interval
        assert interval is not None
        assert f" {measurement.value:.6g} " in line
        assert f"[{interval.low:.4g}, {interval.high:.4g}]" in line
        assert f" {measurement.n} " in line
    assert "neighbours 4" in done.stdout
    assert "features as given" in done.stdout
    written = json.loads((tmp_path / "found.json").read_text())["measurements"]
    assert [Measurement.model_validate(each) for each in written] == found
    with (tmp_path / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], float(row["value"])) for row in rows] == [
        (each.name, each.value) for each in found
    ]


def test_standard_output_can_be_json_alone(sides: tuple[Path, Path]) -> None:
    options = ("--subsets", "3", "--subset-size", "20", "--subset-seed", "5", "--json", "-")
    done = measure(*sides, "--measures", "kid", *options)
    _, of_subsets = json.loads(done.stdout)["measurements"]
    assert of_subsets["name"] == "kernel_distance_of_subsets"
    asked = {"subsets": 3, "subset_size": 20, "subset_seed": 5}
    assert asked.items() <= of_subsets["recipe"].items()


def test_labels_on_both_sides_add_what_is_found_class_by_class(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    sides = tmp_path / "real.npz", tmp_path / "fake.npz"
    for side in sides:
        np.savez(side, features=draws.standard_normal((60, 4)), labels=np.arange(60) % 3 + 5)
    done = measure(*sides, "--json", tmp_path / "found.json", "--neighbours", "4")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    written = json.loads((tmp_path / "found.json").read_text())["measurements"]
    assert {each["part"] for each in written} >= {None, "class 5", "class 6", "class 7"}
    assert "centroid_distance_ratio" in {each["name"] for each in written}
    assert "class 7" in done.stdout
    assert "tenth 10 by class centroid" in done.stdout
    assert "reconstruction" not in json.dumps(written)
    assert {each["recipe"].get("neighbours", 4) for each in written} == {4}
    chosen = measure(*sides, "--measures", "fid", "--json", "-")
    assert [each["name"] for each in json.loads(chosen.stdout)["measurements"]] == [
        "frechet_distance"
    ]


def test_labels_that_are_asked_for_and_missing_are_a_panel_and_2(
    sides: tuple[Path, Path],
) -> None:
    done = measure(*sides, "--measures", "per-class")
    assert done.returncode == ExitCode.USAGE
    assert "have no labels" in done.stderr


def test_wrong_input_is_a_panel_and_2(sides: tuple[Path, Path], tmp_path: Path) -> None:
    done = measure(sides[0], tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "These two sets cannot be compared" in done.stderr
    assert "holds no images" in done.stderr


@pytest.mark.slow  # imports torch
def test_missing_weights_are_a_panel_and_2(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((4, 8, 8), dtype=np.uint8))
    side = tmp_path / "images.npy"
    done = measure(side, side, REPLICALAB_WEIGHTS__FOLDER=str(tmp_path / "nowhere"))
    assert done.returncode == ExitCode.USAGE
    assert "The weights are not available" in done.stderr
    assert "this one" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--json", "-", "--csv", "-"], "only one of"),
        (["--json", "nowhere/found.json"], "is not there"),
        (["--dimension", "65"], "dimension"),
        (["--weights-sha256", "no digest"], "weights_sha256"),
        (["--neighbours", "0"], "--neighbours"),
        (["--subsets", "2", "--subset-seed", "9" * 20], "seed"),
    ],
)
def test_wrong_options_end_with_2(
    options: list[str], said: str, sides: tuple[Path, Path], tmp_path: Path
) -> None:
    done = measure(*sides, *options)
    assert done.returncode == ExitCode.USAGE
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_measures_the_package_to_install_is_named(sides: tuple[Path, Path]) -> None:
    """As where the metrics service is not installed: nothing brings measures."""
    light = "import importlib.metadata as m; m.entry_points = lambda **_: m.EntryPoints(); "
    done = measure(*sides, before=light)
    assert done.returncode == ExitCode.USAGE
    assert "pip install replicalab-metrics" in done.stderr
