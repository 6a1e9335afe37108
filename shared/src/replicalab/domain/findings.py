"""From pydantic's findings to the ``errors`` of a problem, without echoing what was sent."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

MAX_ITEMS = 50
MAX_NAME_CHARACTERS = 64

Item = dict[str, str]
"""``in`` (body, query, path, header), ``pointer`` (RFC 6901), ``code``, ``detail``."""

CODES: Mapping[str, str] = {
    "extra_forbidden": "extra-field",
    "missing": "missing-field",
    "union_tag_not_found": "missing-field",
    "finite_number": "non-finite-number",
    "too_long": "too-many-items",
    "too_short": "too-few-items",
    "string_too_long": "too-long",
    "string_too_short": "too-short",
    "string_pattern_mismatch": "invalid-value",
    "value_error": "invalid-value",
    "literal_error": "unknown-choice",
    "enum": "unknown-choice",
    "union_tag_invalid": "unknown-choice",
    "greater_than": "out-of-range",
    "greater_than_equal": "out-of-range",
    "less_than": "out-of-range",
    "less_than_equal": "out-of-range",
    "int_parsing_size": "out-of-range",
}


def pointer_to(path: Sequence[str | int]) -> str:
    """RFC 6901 pointer; long names are cut, for a pointer is not a mirror."""
    steps = (str(step)[:MAX_NAME_CHARACTERS] for step in path)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _code_of(kind: str) -> str:
    if kind in CODES:
        return CODES[kind]
    return "wrong-type" if re.search(r"_(type|parsing|from_float)$", kind) else "invalid-value"


def _detail_of(error: Mapping[str, Any]) -> str:
    context = error.get("ctx") or {}
    match error["type"]:
        case "union_tag_invalid":
            return f"kind must be one of {context['expected_tags']}"
        case "union_tag_not_found":
            return "kind is needed to tell which of several forms this is"
        case "extra_forbidden":
            return "there is no such field"
        case "uuid_parsing":
            return "must be a UUID"
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case _:
            message = str(error["msg"])
            return message[:1].lower() + message[1:]


def _without_tags(location: Sequence[str | int], value: object) -> list[str | int]:
    """``location`` as the body has it: pydantic also names the chosen member of each union."""
    path: list[str | int] = []
    for step in location:
        match value:
            case dict() if value.get("kind") == step and step not in value:
                continue
            case dict():
                value = value.get(step)
            case list() if isinstance(step, int) and step < len(value):
                value = value[step]
            case _:
                value = None
        path.append(step)
    return path


def body_items(error: ValidationError, value: object) -> list[Item]:
    """The findings about a JSON body that parsed to ``value``."""
    found = error.errors(include_url=False, include_input=False)[:MAX_ITEMS]
    return [
        {
            "in": "body",
            "pointer": pointer_to(_without_tags(item["loc"], value)),
            "code": _code_of(item["type"]),
            "detail": _detail_of(item),
        }
        for item in found
    ]


def request_items(found: Sequence[Mapping[str, Any]]) -> list[Item]:
    """The framework's findings about query, path and headers."""
    return [
        {
            "in": str(item["loc"][0]),
            "pointer": pointer_to(item["loc"][1:]),
            "code": _code_of(item["type"]),
            "detail": _detail_of(item),
        }
        for item in found[:MAX_ITEMS]
    ]
