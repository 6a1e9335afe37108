"""What two specifications do not have in common."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, JsonValue

from replicalab.domain.models import Frozen


class Difference(Frozen):
    """A field that differs; null stands for a field that one side does not have."""

    path: str
    left: JsonValue
    right: JsonValue


def differences(left: BaseModel, right: BaseModel) -> list[Difference]:
    """Every field in which two specifications differ, by its path (``sampler.steps``).

    Lists are compared as wholes: what has moved in a list of levels or seeds says little.
    """
    return list(_compare("", left.model_dump(mode="json"), right.model_dump(mode="json")))


def _compare(path: str, left: JsonValue, right: JsonValue) -> Iterator[Difference]:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for name in [*left, *(name for name in right if name not in left)]:
            inner = f"{path}.{name}" if path else name
            yield from _compare(inner, left.get(name), right.get(name))
    elif left != right:
        yield Difference(path=path, left=left, right=right)
