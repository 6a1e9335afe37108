"""Small synthetic feature sets of the kinds a study compares."""

from collections.abc import Callable

import numpy as np
import pytest

from replicalab.storage.features import FeatureSet

EXTRACTOR = "e" * 64

FeatureSets = Callable[..., FeatureSet]


def _feature_set(
    seed: int = 0,
    *,
    n: int = 60,
    dimension: int = 6,
    classes: int = 3,
    shift: float = 0.0,
    extractor_sha256: str = EXTRACTOR,
) -> FeatureSet:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    features = rng.standard_normal((n, dimension)) + shift
    features[:, :classes] += 3 * np.eye(classes)[labels]
    logits = 3 * features[:, :classes]
    return FeatureSet(
        features.astype(np.float32),
        logits.astype(np.float32),
        labels,
        np.arange(n),
        extractor_sha256,
    )


@pytest.fixture
def feature_set() -> FeatureSets:
    """(seed, n=, dimension=, classes=, shift=, extractor_sha256=) -> a feature set."""
    return _feature_set
