"""Every set of a study on the principal components of the real training set."""

import numpy as np

from replicalab.domain import artifacts
from replicalab.domain.tasks import Project
from replicalab.engine.handlers import TaskContext
from replicalab.storage.features import FeatureSet
from replicalab.storage.projections import ProjectedSet, Projection
from replicalab_metrics.evaluations.inputs import (
    check_one_feature_space,
    read_features,
    refusals_reported,
)
from replicalab_metrics.measures.principal_components import PrincipalComponents


def project(context: TaskContext, params: Project) -> None:
    """Write ``pca.npz``; raises ``InvalidMeasureInput`` where the fit set has no such axes."""
    train = read_features(context, "train")
    with refusals_reported():
        axes = PrincipalComponents.fit(train.features, params.components)
    reconstructed = {}
    for done, t_re in enumerate(params.t_re, start=1):
        fake = read_features(context, f"fake:{t_re}")
        check_one_feature_space((train, fake))
        reconstructed[t_re] = _on(axes, fake)
        context.progress(done, len(params.t_re), f"t_re {t_re}")
    projection = Projection(
        _on(axes, train), reconstructed, axes.explained_shares, train.extractor_sha256
    )
    context.write(artifacts.PCA, projection.to_bytes(), artifacts.NPZ)


def _on(axes: PrincipalComponents, features: FeatureSet) -> ProjectedSet:
    coordinates = axes.project(features.features).astype(np.float32)
    return ProjectedSet(coordinates, features.labels)
