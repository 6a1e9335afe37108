"""Measurements that were not made alike are told apart."""

import pytest

from replicalab.domain.comparisons import unlike_fields
from replicalab.domain.measures import Measurement, Reference

VALUE = Measurement(
    name="recall",
    t_re=6,
    reference=Reference.TRAIN,
    value=0.5,
    unit="1",
    n=100,
    n_unit="images",
    recipe={"extractor_sha256": "e" * 64, "n_fake": 100, "neighbours": 3},
)


def test_the_same_number_of_another_set_is_comparable() -> None:
    assert unlike_fields(VALUE, VALUE.model_copy(update={"t_re": 9, "value": 0.4})) == []


@pytest.mark.parametrize(
    ("change", "unlike"),
    [
        ({"version": 2}, ["version"]),
        ({"reference": Reference.TEST}, ["reference"]),
        ({"part": "class 3"}, ["part"]),
        ({"recipe": {**VALUE.recipe, "extractor_sha256": "f" * 64}}, ["recipe.extractor_sha256"]),
        ({"recipe": {**VALUE.recipe, "n_fake": 99}}, ["recipe.n_fake"]),
        ({"recipe": {"n_fake": 100, "neighbours": 3}}, ["recipe.extractor_sha256"]),
        ({"recipe": {**VALUE.recipe, "resize": "none"}}, ["recipe.resize"]),
    ],
)
def test_what_was_made_otherwise_is_named(change: dict[str, object], unlike: list[str]) -> None:
    other = VALUE.model_copy(update=change)
    assert unlike_fields(VALUE, other) == unlike
    assert unlike_fields(other, VALUE) == unlike
