"""What ``replicalab demo`` sees before it starts anything."""

from pathlib import Path

import pytest
from rich.console import Console

from replicalab.cli import embedded
from replicalab.errors import InvalidRequest


def test_a_report_that_cannot_be_written_costs_no_study(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "file"
    file.touch()
    with pytest.raises(InvalidRequest, match="Not a directory"):
        embedded.demo(Console(), Console(), data, None, file / "report")
    assert not data.exists()
