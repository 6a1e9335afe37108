"""Server-sent events, by the letter of the HTML standard."""

import pytest

from replicalab.client.streams import ServerEvent, parse_events


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: a\n\n", [ServerEvent("message", "a", None)]),
        ("event: x\nid: 3\ndata: a\n\n", [ServerEvent("x", "a", "3")]),
        ("data:a\ndata: b\n\n", [ServerEvent("message", "a\nb", None)]),
        ("data:  a\n\n", [ServerEvent("message", " a", None)]),
        (": ping\n\n", []),
        ("retry: 2000\n\n", []),
        ("event: x\n\ndata: a\n\n", [ServerEvent("message", "a", None)]),
        ("data: whole\n\ndata: broken off", [ServerEvent("message", "whole", None)]),
        ("data: whole\n\ndata: broken off\n", [ServerEvent("message", "whole", None)]),
        ("data\n\n", [ServerEvent("message", "", None)]),
    ],
)
def test_events(text: str, expected: list[ServerEvent]) -> None:
    assert list(parse_events(text.split("\n")[:-1])) == expected
