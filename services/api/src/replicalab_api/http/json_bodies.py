"""Reading a JSON body that nobody has promised to be one."""

import json
import math
import unicodedata
from collections.abc import Iterator
from email.message import Message
from typing import Generic, TypeVar

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from replicalab.domain.findings import MAX_ITEMS, Item, body_items, pointer_to
from replicalab.errors import (
    BodyTooLarge,
    InvalidJson,
    InvalidRequest,
    NonFiniteNumber,
    UnsupportedMediaType,
)

MAX_DEPTH = 64

JSON_BODY_ERRORS = (
    InvalidJson,
    BodyTooLarge,
    UnsupportedMediaType,
    InvalidRequest,
    NonFiniteNumber,
)
"""What reading a ``JsonBody`` raises."""

Value = TypeVar("Value")


def _check_declaration(request: Request) -> None:
    """Raise ``UnsupportedMediaType`` unless the headers promise plain JSON in UTF-8."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Compressed request bodies are not read.")
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    charset = header.get_content_charset("utf-8")
    if header.get_content_type() != "application/json" or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("Content-Type must be application/json, in UTF-8.")


async def _read(request: Request, max_bytes: int) -> bytes:
    """The body, given up as soon as it is, or says it is, longer than ``max_bytes``."""
    too_large = BodyTooLarge(f"The body may have {max_bytes} bytes.", max_bytes=max_bytes)
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared[:20]) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object repeats a key")
    return members


def _parse(body: bytes) -> object:
    """Parse RFC 8259 JSON with unique keys (RFC 7493).

    Two parsers read it: the first refuses byte order marks, bad UTF-8, lone surrogates, endless
    numbers and deep nesting, so that the second, which sees repeated keys, is safe to run.
    """
    try:
        from_json(body)
        return json.loads(body, object_pairs_hook=_unique)
    except ValueError as error:
        raise InvalidJson(f"The body cannot be read: {error}.") from error


def _walk(value: object) -> Iterator[tuple[object, list[str | int]]]:
    """Every scalar with its path, every key with its object's; ``InvalidJson`` beyond the depth."""
    pending: list[tuple[object, list[str | int]]] = [(value, [])]
    while pending:
        node, path = pending.pop()
        if isinstance(node, dict | list) and len(path) >= MAX_DEPTH:
            raise InvalidJson(f"The body nests deeper than {MAX_DEPTH} levels.", reason="too-deep")
        match node:
            case dict():
                pending += [(child, [*path, key]) for key, child in node.items()]
                yield from ((key, path) for key in node)
            case list():
                pending += [(child, [*path, index]) for index, child in enumerate(node)]
            case _:
                yield node, path


def _item(path: list[str | int], code: str, detail: str) -> Item:
    return {"in": "body", "pointer": pointer_to(path), "code": code, "detail": detail}


def _check_scalars(value: object) -> None:
    """Refuse non-finite numbers and control characters wherever they are, known field or not."""
    not_finite: list[Item] = []
    control: list[Item] = []
    for scalar, path in _walk(value):
        if isinstance(scalar, float) and not math.isfinite(scalar):
            not_finite.append(_item(path, "non-finite-number", "must be a finite number"))
        elif isinstance(scalar, str) and any(unicodedata.category(c) == "Cc" for c in scalar):
            control.append(_item(path, "control-character", "must not hold control characters"))
    if not_finite:
        raise NonFiniteNumber(
            "NaN, Infinity and numbers beyond 1.8e308 are refused.", errors=not_finite[:MAX_ITEMS]
        )
    if control:
        raise InvalidRequest("Text must not hold control characters.", errors=control[:MAX_ITEMS])


class JsonBody(Generic[Value]):
    """A dependency that reads the request's body as ``Value``.

    How long a body may be is ``app.state.max_body_bytes``.
    """

    def __init__(self, adapter: TypeAdapter[Value]) -> None:
        self._adapter = adapter

    async def __call__(self, request: Request) -> Value:
        """The validated body.

        Raises:
            UnsupportedMediaType: It is not declared as plain JSON in UTF-8.
            BodyTooLarge: It has more than ``max_body_bytes`` bytes.
            InvalidJson: It is not I-JSON, or nests too deep.
            NonFiniteNumber: A number is NaN, infinite or out of a float's range.
            InvalidRequest: It breaks the schema.
        """
        _check_declaration(request)
        return self.decode(await _read(request, request.app.state.max_body_bytes))

    def decode(self, body: bytes) -> Value:
        """What ``body`` says."""
        value = _parse(body)
        _check_scalars(value)
        try:
            return self._adapter.validate_json(body)
        except ValidationError as error:
            items = body_items(error, value)
            first = "; ".join(f"{i['pointer'] or 'body'}: {i['detail']}" for i in items[:3])
            raise InvalidRequest(f"{first}.", errors=items) from error
