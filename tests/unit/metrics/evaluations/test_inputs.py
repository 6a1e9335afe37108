"""Feature sets that break their contract never reach a measure."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from replicalab.errors import InvalidMeasureInput
from replicalab.storage.arrays import pack, unpack
from replicalab.storage.features import FeatureSet, TestLogits

FeatureSets = Callable[..., FeatureSet]


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("features", np.full((4, 2), np.nan, dtype=np.float32), "features hold values"),
        ("logits", np.full((4, 2), np.inf, dtype=np.float32), "logits hold values"),
        ("features", np.zeros(4, dtype=np.float32), "features must be"),
        ("features", np.zeros((3, 2), dtype=np.float32), "features must be"),
        ("features", np.zeros((4, 2), dtype=np.float64), "features must be"),
        ("logits", np.zeros((4, 0), dtype=np.float32), "logits must be"),
        ("labels", np.array(1), "labels must be"),
        ("labels", np.zeros(4, dtype=np.float32), "labels must be"),
        ("labels", np.arange(4) - 1, "labels must be"),
        ("indices", np.arange(5), "indices must be"),
    ],
)
def test_a_broken_feature_set_is_refused(
    feature_set: FeatureSets, name: str, array: np.ndarray, message: str
) -> None:
    arrays = unpack(feature_set(n=4).to_bytes())
    with pytest.raises(InvalidMeasureInput, match=message):
        FeatureSet.from_bytes(pack({**arrays, name: array}))


def test_an_empty_feature_set_is_refused(feature_set: FeatureSets) -> None:
    with pytest.raises(InvalidMeasureInput, match="0 >= 1"):
        feature_set(n=0)


def test_broken_answers_are_refused() -> None:
    answers = TestLogits(np.zeros((3, 2), dtype=np.float32), np.zeros(3, dtype=np.int64), 0)
    with pytest.raises(InvalidMeasureInput, match="logits must be"):
        dataclasses.replace(answers, labels=np.zeros(2, dtype=np.int64))
    with pytest.raises(InvalidMeasureInput, match="logits hold values"):
        dataclasses.replace(answers, logits=answers.logits + np.float32(np.nan))
