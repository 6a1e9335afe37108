"""A whole study, and what its report consists of."""

from collections.abc import Callable

import pytest

from replicalab.domain.artifacts import ref_of
from replicalab.domain.measures import Measurement
from replicalab.domain.specs import ExperimentSpec
from replicalab.storage.image_sets import ImageSet
from replicalab.storage.projections import Projection
from replicalab_metrics.reports.study import Study

Studies = Callable[..., Study]


@pytest.fixture
def study(
    sweep: list[Measurement], image_sets: dict[int, ImageSet], projection: Projection
) -> Studies:
    """(name=, measurements=, projection=) -> a study of three sets."""

    def make(
        name: str = "a study",
        measurements: list[Measurement] | None = None,
        projection: Projection | None = projection,
    ) -> Study:
        return Study(
            spec=ExperimentSpec(name=name, t_re=(0, 9, 18)),
            measurements=tuple(sweep if measurements is None else measurements),
            real=image_sets[0],
            reconstructed=image_sets,
            projection=projection,
            inputs={"train": (ref_of(b"images", "text/plain"),)},
        )

    return make
