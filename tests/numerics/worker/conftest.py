"""Golden data of independent implementations, where this checkout has it beside it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

GOLDEN = Path(__file__).parents[3].parent / "shared" / "golden"

Arrays = Mapping[str, npt.NDArray[Any]]


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Arrays]:
    """Loads a golden npz by name, or skips the test and says why."""

    def load(name: str) -> Arrays:
        path = GOLDEN / name
        if not path.exists():
            pytest.skip(f"golden data is absent: ../shared/golden/{name}")
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}

    return load


@pytest.fixture(scope="session")
def golden_json() -> Callable[[str], Any]:
    """Loads a golden JSON file by name, or skips the test and says why."""

    def load(name: str) -> Any:
        path = GOLDEN / name
        if not path.exists():
            pytest.skip(f"golden data is absent: ../shared/golden/{name}")
        return json.loads(path.read_text())

    return load
