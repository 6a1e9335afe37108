"""What a pickle turns into here: values that hold what was said and can do nothing."""

from dataclasses import dataclass
from typing import NamedTuple

from replicalab_worker.weights.tensors import Dtype


class Global(NamedTuple):
    """A name that a pickle wants imported; here it stays a name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class LongText:
    """A text too long to matter, such as the source that snapshots embed; never even decoded."""

    size_bytes: int


@dataclass(slots=True)
class ModuleRecord:
    """A module of somebody's network: the name of its class, and its attributes."""

    class_name: str
    state: dict[object, object] | None = None


@dataclass(frozen=True, slots=True)
class NumpyType:
    """The code of a numpy data type."""

    code: str


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers, still where they lie in the file.

    Attributes:
        dtype: Their type.
        data: Their bytes, a whole number of items.
    """

    dtype: Dtype
    data: memoryview
