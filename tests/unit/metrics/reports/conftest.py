"""A whole study, and what its report consists of."""

from collections.abc import Callable

import numpy as np
import pytest

from replicalab.domain.artifacts import ref_of
from replicalab.domain.features import FeatureSpec, InDomainFeatures
from replicalab.domain.measures import Measurement
from replicalab.domain.specs import ExperimentSpec
from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab.storage.projections import Projection
from replicalab_metrics.reports.answers import RightAnswers
from replicalab_metrics.reports.study import Study

Studies = Callable[..., Study]

IN_DOMAIN = InDomainFeatures()


@pytest.fixture
def answers() -> RightAnswers:
    """Of three seeds on 50 images after each of three sets, worse from set to set."""
    draws = np.random.default_rng(0).random((3, 50))
    is_right = [draws < share for share in (0.9, 0.8, 0.7)]
    return RightAnswers((0, 9, 18), (0, 1, 2), np.array(is_right))


@pytest.fixture
def study(
    sweep: list[Measurement],
    image_sets: dict[int, ImageSet],
    heat_maps: dict[int, HeatMaps],
    projection: Projection,
    answers: RightAnswers,
) -> Studies:
    """(name=, measurements=, projection=, features=) -> a study of three sets."""

    def make(
        name: str = "a study",
        measurements: list[Measurement] | None = None,
        projection: Projection | None = projection,
        features: FeatureSpec = IN_DOMAIN,
    ) -> Study:
        return Study(
            spec=ExperimentSpec(name=name, t_re=(0, 9, 18), features=features),
            measurements=tuple(sweep if measurements is None else measurements),
            real=image_sets[0],
            reconstructed=image_sets,
            projection=projection,
            test=image_sets[0],
            heat_maps=heat_maps,
            answers=answers,
            inputs={"train": (ref_of(b"images", "text/plain"),)},
        )

    return make
