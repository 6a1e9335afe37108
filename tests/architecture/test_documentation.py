"""What the pages name exists: links, headings, make targets, programs, commands, paths."""

import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command

from replicalab.cli.app import app

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(
    ["git", "ls-files", "*.md"],  # noqa: S607 - whichever git the checkout was made with
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout
PAGES = [ROOT / name for name in LISTED.splitlines()]
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
TREES = "shared|services|tests|benchmarks|deploy|docs|migrations"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code_of(page: Path) -> str:
    """Everything on a page that is set as code."""
    return "\n".join(CODE.findall(page.read_text("utf-8")))


def anchors_of(page: Path) -> set[str]:
    """Names under which its headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def dead_links(page: Path) -> Iterator[str]:
    """Links into the repository that lead nowhere."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            yield link


def unknown_commands(text: str) -> Iterator[str]:
    """Commands of ``replicalab`` that do not exist, those in groups too."""
    commands = getattr(get_command(app), "commands", {})
    for line in re.findall(
        r"(?:^|`|(?<!from)\s)replicalab ((?:[a-z-]+ ?){1,2})", text, re.MULTILINE
    ):
        name, _, inner = line.strip().partition(" ")
        if name.startswith("-"):
            continue
        members = getattr(commands.get(name), "commands", None)
        is_unknown_member = members is not None and inner and inner not in members
        if name not in commands or is_unknown_member:
            yield line


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert list(dead_links(page)) == []


@each_page
def test_what_is_to_be_run_exists(page: Path) -> None:
    code = code_of(page)
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", code, re.MULTILINE)) <= TARGETS
    modules = re.findall(r"python (?:-P )?-m ([a-z_.]+)", code)
    assert [module for module in modules if find_spec(module) is None] == []
    assert list(unknown_commands(code)) == []


@each_page
def test_paths_of_the_repository_exist(page: Path) -> None:
    named = re.findall(rf"(?<![\w/.-])(?:{TREES})/[\w./-]*\w", code_of(page))
    assert [name for name in named if not (ROOT / name).exists()] == []
