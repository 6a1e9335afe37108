"""Every row of docs/bad-inputs.md names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "bad-inputs.md").read_text(encoding="utf-8").splitlines()
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
    for line in LINES
    if line.startswith("| ") and not line.startswith("| input")
]
WITHOUT_A_TEST = "has no test of it"


def names_in(path: Path) -> set[str]:
    """Names of the tests in a file, those in classes too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 30
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_row_names_tests_that_exist_or_says_that_there_is_none(row: list[str]) -> None:
    _input, answer, tests = row
    named = re.findall(r"`([^`:]+)::(test_[a-z0-9_]+)`", tests)
    assert bool(named) != (WITHOUT_A_TEST in answer)
    for file, name in named:
        assert name in names_in(ROOT / file), f"{file} has no {name}"
