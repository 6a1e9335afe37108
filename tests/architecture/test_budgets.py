"""Sizes a reader can hold in the head. Raising a number here is a design decision."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for top in ("shared", "services") for p in (ROOT / top).glob("**/src/**/*.py"))
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
VAGUE_NAMES = {"utils", "helpers", "common", "misc", "base", "manager"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name}: {length} lines"


def test_no_module_is_named_after_nothing_in_particular() -> None:
    assert len(SOURCES) > 50
    assert not [path for path in SOURCES if VAGUE_NAMES & {path.stem, path.parent.name}]
