"""The README's examples run as they stand, in order, against the whole service."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from replicalab.stack.embedded import EmbeddedStack
from tests.fixtures.servers import environment

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"^```(bash|python)\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def run(language: str, code: str, folder: Path, stack: EmbeddedStack) -> str:
    command = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    variables = environment() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "REPLICALAB_URL": stack.url,
        "REPLICALAB_TOKEN": stack.token,
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [*command[language], code],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_of_the_readme_runs(stack: EmbeddedStack, tmp_path: Path) -> None:
    assert [language for language, _ in EXAMPLES] == ["bash", "bash", "python"]
    outputs = [run(language, code, tmp_path, stack) for language, code in EXAMPLES]
    assert "accuracy" in outputs[0]
    assert '"name":"first look"' in outputs[1].replace(" ", " ")
    assert "accuracy 9 " in outputs[2]
    report = (tmp_path / "results" / "report.html").read_text()
    assert "first look" in report


def test_the_numbers_of_a_study_are_those_of_its_csv(stack: EmbeddedStack, tmp_path: Path) -> None:
    table = run(
        "python",
        "from replicalab import Lab\n"
        "lab = Lab()\n"
        "study = next(lab.list())\n"
        "print(lab.results(study).to_csv())",
        tmp_path,
        stack,
    )
    rows = list(csv.DictReader(line for line in table.splitlines() if not line.startswith("#")))
    accuracies = {row["t_re"]: float(row["value"]) for row in rows if row["name"] == "accuracy"}
    assert set(accuracies) == {"0", "9"}
    assert all(0.5 < value <= 1 for value in accuracies.values())
    assert all(int(row["n"]) >= 1 for row in rows)
