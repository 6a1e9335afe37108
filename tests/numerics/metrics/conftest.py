"""Golden numbers of the measures, and the feature sets they were computed from."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "metrics.json"

Features = np.ndarray[tuple[int, int], np.dtype[np.float32]]
CodeWords = Callable[[int, int, int, float, float], Features]


def _code_words(seed: int, n: int, dimension: int, shift: float, scale: float) -> Features:
    """Rectified, correlated features as ``metrics.json`` describes them."""
    directions = np.random.Generator(np.random.PCG64(999)).standard_normal((8, dimension))
    generator = np.random.Generator(np.random.PCG64(seed))
    noise = generator.standard_normal((n, dimension))
    strengths = generator.standard_normal((n, 8))
    noise *= scale / np.sqrt(1 + np.arange(dimension) / 64)
    for k in range(8):
        noise += (0.3 * strengths[:, k])[:, None] * directions[k]
    return np.asarray(np.maximum(noise + shift, 0) * 0.5, dtype=np.float32)


@pytest.fixture(scope="session")
def code_words() -> CodeWords:
    """(seed, n, dimension, shift, scale) -> features."""
    return _code_words


@pytest.fixture(scope="session")
def golden_cases() -> dict[tuple[int, int, int], dict[str, Any]]:
    """Golden cases by (real samples, fake samples, dimension)."""
    if not GOLDEN.is_file():
        pytest.skip(f"golden data is not at {GOLDEN}")
    cases = json.loads(GOLDEN.read_text())["cases"]
    return {(case["N_real"], case["N_fake"], case["D"]): case for case in cases}


@pytest.fixture
def golden_case(
    request: pytest.FixtureRequest, golden_cases: dict[tuple[int, int, int], dict[str, Any]]
) -> tuple[dict[str, Any], Features, Features]:
    """(case, real, fake) of the sizes given indirectly; the features' digests are checked."""
    case = golden_cases[request.param]
    real = _code_words(1, case["N_real"], case["D"], 0.0, 1.0)
    fake = _code_words(2, case["N_fake"], case["D"], 0.05, 1.05)
    digests = [hashlib.sha256(features.tobytes()).hexdigest()[:16] for features in (real, fake)]
    assert digests == case["sha256_16"], "the recipe no longer gives the golden features"
    return case, real, fake
