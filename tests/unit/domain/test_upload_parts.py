"""Files cut into parts."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicalab.domain.upload_parts import MEBIBYTE, MOST_PARTS, PART_BYTES, Cut, part_bytes_of

SIZES = st.integers(1, 2**53 - 1)


@dataclass(frozen=True)
class Sent:
    number: int
    size_bytes: int


@given(SIZES)
def test_no_file_has_more_parts_than_a_store_takes(size_bytes: int) -> None:
    cut = Cut(size_bytes, part_bytes_of(size_bytes))
    assert 1 <= len(cut.numbers) <= MOST_PARTS
    assert cut.part_bytes >= PART_BYTES
    assert cut.part_bytes % MEBIBYTE == 0


@given(st.integers(1, 10_000), st.integers(1, 500))
def test_parts_are_the_file_without_gaps(size_bytes: int, part_bytes: int) -> None:
    cut = Cut(size_bytes, part_bytes)
    end = 0
    for number in cut.numbers:
        assert cut.offset_of(number) == end
        assert 1 <= cut.size_of(number) <= part_bytes
        end += cut.size_of(number)
    assert end == size_bytes


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        ([], [1, 2, 3]),
        ([Sent(1, 10), Sent(2, 10), Sent(3, 5)], []),
        ([Sent(3, 5), Sent(1, 10)], [2]),
        ([Sent(1, 9), Sent(2, 10), Sent(3, 10), Sent(4, 5)], [1, 3]),
    ],
)
def test_what_has_not_arrived_whole_is_missing(sent: list[Sent], missing: list[int]) -> None:
    assert Cut(25, 10).missing(sent) == missing
