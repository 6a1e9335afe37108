"""Ranges, entity tags and cursors, by the letter of their RFCs."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicalab.errors import InvalidRequest, RangeNotSatisfiable
from replicalab_api.http.conditional import etag_of, is_fresh
from replicalab_api.http.cursors import CursorCodec
from replicalab_api.http.ranges import parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-4", (2, 5)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=9-99", (9, 10)),
    ],
)
def test_a_range_is_a_part(header: str, expected: tuple[int, int]) -> None:
    part = parse_range(header, 10)
    assert part is not None
    assert (part.start, part.end) == expected
    assert part.content_range == f"bytes {part.start}-{part.end - 1}/10"


@pytest.mark.parametrize(
    "header", [None, "", "bytes=", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "items=0-1", "bytes=a-"]
)
def test_other_headers_mean_the_whole(header: str | None) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-11", "bytes=-0"])
def test_a_range_outside_is_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 10)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30))
def test_a_range_holds_the_bytes_that_the_rfc_counts(first: int, last: int, size: int) -> None:
    body = bytes(range(size))
    wanted = [byte for byte in body if first <= byte <= last]
    header = f"bytes={first}-{last}"
    if first > last:
        assert parse_range(header, size) is None
    elif not wanted:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, size)
    else:
        part = parse_range(header, size)
        assert part is not None
        assert list(body[part.start : part.end]) == wanted


def test_tags_follow_the_bytes() -> None:
    assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")


@pytest.mark.parametrize("header", ['"a"', 'W/"a"', '"b", "a"', "*"])
def test_a_listed_copy_is_fresh(header: str) -> None:
    assert is_fresh(header, '"a"')


@pytest.mark.parametrize("header", [None, "", '"b"', "a"])
def test_another_copy_is_not(header: str | None) -> None:
    assert not is_fresh(header, '"a"')


def test_a_cursor_comes_back_as_the_id_it_was_made_of() -> None:
    codec, place = CursorCodec("secret"), uuid4()
    assert codec.decode(codec.encode(place)) == place


PLACE = UUID(int=2**127 + 1)
FORGED = [
    "",
    "x",
    "\u00e9",
    "AAAA",
    "=" * 8,
    str(PLACE),
    CursorCodec("another secret").encode(PLACE),
    CursorCodec("secret").encode(PLACE)[:-1],
    CursorCodec("secret").encode(UUID(int=0))[:-1] + "_",
    CursorCodec("secret").encode(PLACE) + "AA",
]


@pytest.mark.parametrize("cursor", FORGED)
def test_a_forged_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        CursorCodec("secret").decode(cursor)
