"""What two specifications do not have in common."""

from replicalab.domain.differences import Difference, differences
from replicalab.domain.samplers import EulerSampler, HeunSampler
from replicalab.domain.specs import ExperimentSpec

STUDY = ExperimentSpec(name="a", t_re=(0, 9))


def changed(**fields: object) -> ExperimentSpec:
    return STUDY.model_copy(update=fields)


def test_equal_specifications_have_no_differences() -> None:
    assert differences(STUDY, STUDY) == []


def test_a_difference_names_the_field_by_its_path() -> None:
    steps = differences(STUDY, changed(sampler=HeunSampler(steps=20)))
    assert steps == [Difference(path="sampler.steps", left=18, right=20)]


def test_lists_are_compared_as_wholes() -> None:
    assert differences(STUDY, changed(t_re=(0, 3, 9))) == [
        Difference(path="t_re", left=[0, 9], right=[0, 3, 9])
    ]


def test_a_field_that_one_side_lacks_is_null_there() -> None:
    found = {one.path: one for one in differences(STUDY, changed(sampler=EulerSampler()))}
    assert found["sampler.kind"].right == "euler"
    assert found["sampler.s_churn"] == Difference(path="sampler.s_churn", left=0.0, right=None)
