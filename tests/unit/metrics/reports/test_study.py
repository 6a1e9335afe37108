"""A report joins only what belongs together."""

import dataclasses
from collections.abc import Callable

import pytest

from replicalab.domain.features import InceptionFeatures
from replicalab.domain.measures import Measurement
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.projections import Projection
from replicalab_metrics.reports.study import Study

Studies = Callable[..., Study]


def test_measurements_of_unlike_extractors_are_refused(
    study: Studies, measured: Callable[..., Measurement], sweep: list[Measurement]
) -> None:
    alien = measured("recall", 9, 0.5, recipe={"extractor_sha256": "f" * 64})
    with pytest.raises(InvalidMeasureInput, match="eeeeeeeeeeee, ffffffffffff"):
        study(measurements=[*sweep, alien])


def test_a_projection_of_an_unlike_extractor_is_refused(
    study: Studies, projection: Projection
) -> None:
    alien = dataclasses.replace(projection, extractor_sha256="f" * 64)
    with pytest.raises(InvalidMeasureInput, match="unlike feature extractors"):
        study(projection=alien)


def test_the_extractor_is_known_where_features_were_used(study: Studies) -> None:
    assert study().extractor_sha256 == "e" * 64
    assert study(measurements=[], projection=None).extractor_sha256 is None


def test_features_of_another_space_may_stand_beside_answers_of_the_classifier(
    study: Studies, measured: Callable[..., Measurement], projection: Projection
) -> None:
    answer = measured("real_classifier_accuracy", 9, 0.5, recipe={"extractor_sha256": "f" * 64})
    recall = measured("recall", 9, 0.5)
    both = study(measurements=[answer, recall], projection=projection, features=InceptionFeatures())
    assert (both.extractor_sha256, both.classifier_sha256) == ("e" * 64, "f" * 64)
    with pytest.raises(InvalidMeasureInput, match="eeeeeeeeeeee, ffffffffffff"):
        study(measurements=[answer, recall], projection=projection)
    unlike = measured("class_flip_rate", 9, 0.5)
    with pytest.raises(InvalidMeasureInput, match="eeeeeeeeeeee, ffffffffffff"):
        study(measurements=[answer, unlike], projection=None, features=InceptionFeatures())
