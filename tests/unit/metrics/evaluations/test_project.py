"""Projections: every set on the components of the real training set."""

from collections.abc import Callable

import numpy as np
import pytest

from replicalab.domain.artifacts import PCA
from replicalab.domain.tasks import Project
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.features import FeatureSet
from replicalab.storage.projections import Projection
from replicalab_metrics.evaluations.project import project

FeatureSets = Callable[..., FeatureSet]


@pytest.fixture
def context(feature_set: FeatureSets) -> MemoryContext:
    train, fake = feature_set(1), feature_set(2, n=30, shift=1.0)
    return MemoryContext(
        {
            "train": [train.to_bytes()],
            "fake:0": [train.to_bytes()],
            "fake:12": [fake.to_bytes()],
        }
    )


def test_sets_are_projected_on_components_of_the_real_set(context: MemoryContext) -> None:
    project(context, Project(components=3, t_re=(0, 12)))
    projection = Projection.from_bytes(context.outputs[PCA])
    np.testing.assert_array_equal(
        projection.reconstructed[0].coordinates, projection.real.coordinates
    )
    assert projection.reconstructed[12].coordinates.shape == (30, 3)
    assert np.abs(projection.real.coordinates.mean(axis=0)).max() < 1e-5
    assert np.abs(projection.reconstructed[12].coordinates.mean(axis=0)).max() > 0.1
    assert (np.diff(projection.explained_shares) <= 0).all()
    assert projection.extractor_sha256 == "e" * 64


def test_equal_features_give_equal_bytes(context: MemoryContext) -> None:
    project(context, Project(components=2, t_re=(0, 12)))
    first = context.outputs[PCA]
    project(context, Project(components=2, t_re=(0, 12)))
    assert context.outputs[PCA] == first


def test_sets_of_another_extractor_are_refused(
    context: MemoryContext, feature_set: FeatureSets
) -> None:
    context.inputs["fake:12"] = [feature_set(2, extractor_sha256="f" * 64).to_bytes()]
    with pytest.raises(InvalidMeasureInput, match="unlike extractors"):
        project(context, Project(components=2, t_re=(0, 12)))


def test_components_the_features_do_not_have_are_refused(context: MemoryContext) -> None:
    with pytest.raises(InvalidMeasureInput, match="no 7 components"):
        project(context, Project(components=7, t_re=(0, 12)))


def test_a_projection_without_its_arrays_is_refused(context: MemoryContext) -> None:
    with pytest.raises(InvalidMeasureInput, match="lacks train_coordinates"):
        Projection.from_bytes(context.inputs["train"][0])
