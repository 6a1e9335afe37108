"""Sources are held out in equal shares of every class, by a seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicalab_worker.science.pairs import held_out_sources

CLASSES = np.random.default_rng(0).permutation(np.repeat([0, 1, 5], [100, 50, 25]))


def test_every_class_gives_its_share() -> None:
    is_held_out = held_out_sources(CLASSES, 0.2, seed=3)
    assert np.bincount(CLASSES[is_held_out]).tolist() == [20, 10, 0, 0, 0, 5]


def test_the_seed_decides_and_nothing_else() -> None:
    first, again, other = (held_out_sources(CLASSES, 0.2, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_draw_has_nothing_to_do_with_other_numbers_of_the_same_seed() -> None:
    values = np.random.default_rng(0).random(10_000)
    is_held_out = held_out_sources(np.zeros(10_000, dtype=np.int64), 0.5, seed=0)
    # The means of two halves differ by chance with a standard deviation of 0.006.
    assert values[is_held_out].mean() == pytest.approx(values[~is_held_out].mean(), abs=0.03)


def test_every_source_can_be_held_out() -> None:
    times = sum(held_out_sources(CLASSES, 0.2, seed).astype(int) for seed in range(200))
    assert isinstance(times, np.ndarray)
    # Each is drawn 40 times in the mean, with a standard deviation of 5.7.
    assert times.min() >= 15
    assert times.max() <= 65


@settings(deadline=None)  # the first call checks more types than it draws numbers
@given(
    sizes=st.lists(st.integers(2, 12), min_size=1, max_size=6),
    share=st.floats(0.001, 0.9),
    seed=st.integers(0, 2**31 - 1),
)
def test_no_class_is_left_out_of_either_part(sizes: list[int], share: float, seed: int) -> None:
    classes = np.repeat(np.arange(len(sizes)), sizes)
    is_held_out = held_out_sources(classes, share, seed)
    for class_, size in enumerate(sizes):
        tested = int(is_held_out[classes == class_].sum())
        assert 1 <= tested < size
        assert tested in {1, size - 1} or tested == pytest.approx(share * size, abs=0.5)
