"""The page of faults names every fault, and only tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "faults.md").read_text().splitlines()
    if line.startswith("| F")
]
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")
LAST_FAULT = 46


def number_of(row: list[str]) -> int:
    found = re.match(r"F(\d+) ", row[0])
    assert found is not None
    return int(found[1])


def test_every_fault_has_a_row() -> None:
    assert sorted(map(number_of, ROWS)) == list(range(1, LAST_FAULT + 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"F{number_of(row)}")
def test_a_row_names_tests_that_exist_or_says_why_there_is_none(row: list[str]) -> None:
    _, how, follows, tests = row
    named = TEST.findall(tests)
    if not named:
        assert (how, tests) == ("-", "-")
        assert follows.startswith("not tried: ")
    for path, name in named + TEST.findall(follows):
        source = (ROOT / path).read_text()
        assert re.search(rf"^def {name}\(" if name else r"^def test_", source, re.MULTILINE)
