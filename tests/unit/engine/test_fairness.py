"""Who goes next: class, then fair share."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicalab.engine.fairness import Lane, fair_turns


def turns(lanes: list[Lane], usage: dict[str, float], number: int, seconds: float = 1) -> str:
    return "".join(lane.owner for lane in islice(fair_turns(lanes, usage, seconds), number))


def test_users_without_history_take_turns() -> None:
    assert turns([Lane(1, "a"), Lane(1, "b"), Lane(1, "c")], {}, 7) == "abcabca"


def test_whoever_used_less_goes_first_until_both_are_even() -> None:
    assert turns([Lane(1, "a"), Lane(1, "b")], {"a": 3, "b": 0}, 6) == "bbbaba"


def test_a_more_urgent_class_goes_before_any_share() -> None:
    assert turns([Lane(0, "a"), Lane(1, "b")], {"a": 1e9}, 3) == "aaa"


@given(
    usage=st.lists(st.floats(0, 1000), min_size=2, max_size=8),
    seconds=st.floats(0.1, 10),
)
def test_no_one_falls_behind_by_more_than_a_task(usage: list[float], seconds: float) -> None:
    owners = {str(n): used for n, used in enumerate(usage)}
    total = dict(owners)
    for lane in islice(fair_turns([Lane(1, o) for o in owners], owners, seconds), 200):
        assert total[lane.owner] == pytest.approx(min(total.values()))
        total[lane.owner] += seconds
