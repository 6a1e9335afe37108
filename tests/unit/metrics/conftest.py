"""Small synthetic feature sets and measurements of the kinds a study holds."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from pydantic import JsonValue

from replicalab.domain.measures import Interval, Measurement, Reference
from replicalab.storage.features import FeatureSet
from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab.storage.projections import ProjectedSet, Projection

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


@pytest.fixture
def measured() -> Callable[..., Measurement]:
    """(name, t_re, value, margin=, reference=, ...) -> a measurement with a plain recipe."""
    return _measured


@pytest.fixture
def sweep() -> list[Measurement]:
    """Every measure of a study with three sets, as an evaluation would report it."""
    return [measurement for t_re in (0, 9, 18) for measurement in _set_measurements(t_re)]


@pytest.fixture
def image_sets() -> dict[int, ImageSet]:
    """Real images (0) and two sets of reconstructions: 12 grey images of 3 classes."""
    rng = np.random.default_rng(0)
    return {
        t_re: ImageSet(
            rng.integers(0, 256, (12, 4, 4, 1), dtype=np.uint8), np.arange(12) % 3, np.arange(12)
        )
        for t_re in (0, 9, 18)
    }


@pytest.fixture
def heat_maps(image_sets: dict[int, ImageSet]) -> dict[int, HeatMaps]:
    """Of models that learnt from each set, on the real images."""
    rng = np.random.default_rng(0)
    images = image_sets[0]
    return {
        t_re: HeatMaps(
            maps=rng.random((len(images), 2, 2), dtype=np.float32),
            labels=images.labels,
            predictions=images.labels,
            indices=images.indices,
            image_size=np.array(images.images.shape[1:3]),
            block=2,
            seed=0,
            classifier_sha256="c" * 64,
        )
        for t_re in image_sets
    }


@pytest.fixture
def projection() -> Projection:
    rng = np.random.default_rng(0)
    sets = [
        ProjectedSet(
            rng.standard_normal((12, 2)).astype(np.float32), np.arange(12, dtype=np.int64) % 3
        )
        for _ in range(3)
    ]
    return Projection(sets[0], {9: sets[1], 18: sets[2]}, np.array([0.5, 0.25]), EXTRACTOR)


def _measured(
    name: str,
    t_re: int,
    value: float,
    *,
    margin: float | None = 0.01,
    reference: Reference | None = None,
    unit: str = "1",
    n: int = 60,
    n_unit: Literal["seeds", "images"] = "images",
    recipe: dict[str, JsonValue] | None = None,
) -> Measurement:
    interval = (
        None
        if margin is None
        else Interval(low=value - margin, high=value + margin, method="by construction")
    )
    return Measurement(
        name=name,
        t_re=t_re,
        sigma=t_re / 10,
        reference=reference,
        value=value,
        unit=unit,
        n=n,
        n_unit=n_unit,
        interval=interval,
        recipe={"extractor_sha256": EXTRACTOR, **(recipe or {})},
    )


def _set_measurements(t_re: int) -> list[Measurement]:
    step = t_re / 18
    entropy: dict[str, JsonValue] = {"classes": 3}
    found = [
        _measured("accuracy", t_re, 0.95 - 0.1 * step, n=3, n_unit="seeds"),
        *(
            _measured(
                "seed_accuracy",
                t_re,
                0.95 - 0.1 * step + 0.01 * (seed - 1),
                n=50,
                recipe={"classifier_seed": seed},
            )
            for seed in range(3)
        ),
        *(
            _measured(
                "seed_heat_map_correlation",
                t_re,
                0.8 - 0.2 * step + 0.01 * seed,
                unit="Pearson's r",
                recipe={"classifier_seed": seed},
            )
            for seed in range(3)
        ),
        _measured("real_classifier_accuracy", t_re, 0.99 - 0.1 * step),
        _measured("real_classifier_entropy", t_re, 0.02 + 0.01 * step, unit="nats", recipe=entropy),
    ]
    for reference in Reference:
        sizes: dict[str, JsonValue] = {"n_fake": 60, "n_reference": 50, "neighbours": 3}
        for name, value in (("precision", 1 - 0.1 * step), ("recall", 1 - 0.4 * step)):
            found.append(_measured(name, t_re, value, reference=reference, recipe=sizes))
        distance = _measured(
            "frechet_distance",
            t_re,
            5 * min(step, 0.5),
            reference=reference,
            unit="squared feature units",
            recipe=sizes,
        )
        found.append(distance)
    return found
