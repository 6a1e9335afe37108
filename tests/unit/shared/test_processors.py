import os
from pathlib import Path

import pytest

from replicalab.processors import usable_processors


@pytest.fixture
def allowed() -> int:
    return len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"), [("100000 100000", 1), ("150000 100000", 1), ("50000 100000", 1)]
)
def test_a_containers_quota_limits_the_processors(
    tmp_path: Path, quota: str, expected: int
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n")
    assert usable_processors(file) == expected


@pytest.mark.parametrize("quota", ["max 100000", "999999999 100000"])
def test_a_generous_quota_leaves_what_affinity_allows(
    tmp_path: Path, quota: str, allowed: int
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n")
    assert usable_processors(file) == allowed


def test_without_a_quota_affinity_decides(tmp_path: Path, allowed: int) -> None:
    assert usable_processors(tmp_path / "absent") == allowed
