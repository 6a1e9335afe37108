"""Tensors inside the bytes of a file: where their values lie, checked before anything is made."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.errors import UnsafeCheckpoint

MAX_DIMENSIONS = 8
MAX_TENSORS = 100_000

Dtype = np.dtype[np.float32] | np.dtype[np.float16] | np.dtype[np.int64]

FLOAT32: Dtype = np.dtype("<f4")
FLOAT16: Dtype = np.dtype("<f2")
INT64: Dtype = np.dtype("<i8")


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor whose values are still where they lie in a file.

    Attributes:
        dtype: Of one value, little-endian.
        shape: Length of every dimension.
        strides: Values from one entry to the next, per dimension.
        offset: Values in ``storage`` before the first.
        storage: The bytes that hold the values, shared with the file.
    """

    dtype: Dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    storage: memoryview

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def read(self) -> npt.NDArray[np.float32]:
        """The values as float32, contiguous; a view of the file where they lie so already."""
        view: npt.NDArray[np.generic] = np.ndarray(
            self.shape,
            self.dtype,
            self.storage,
            self.offset * self.dtype.itemsize,
            [stride * self.dtype.itemsize for stride in self.strides],
        )
        return np.ascontiguousarray(view, dtype=np.float32)


def stored_tensor(
    dtype: Dtype,
    shape: Sequence[int],
    storage: memoryview,
    *,
    strides: Sequence[int] | None = None,
    offset: int = 0,
) -> StoredTensor:
    """A tensor that lies wholly in its storage and names none of its values twice.

    Raises:
        UnsafeCheckpoint: It does not, or its numbers make no sense.
    """
    if len(shape) > MAX_DIMENSIONS or min(shape, default=0) < 0 or offset < 0:
        raise UnsafeCheckpoint(f"A tensor has the shape {_short(shape)} from value {offset} on.")
    values = len(storage) // dtype.itemsize
    size = math.prod(shape)
    steps = contiguous_strides(shape) if strides is None else tuple(strides)
    if len(steps) != len(shape) or min(steps, default=0) < 0:
        raise UnsafeCheckpoint(
            f"A tensor of {len(shape)} dimensions has the strides {_short(steps)}."
        )
    last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    if size > values or (size and last >= values):
        raise UnsafeCheckpoint(
            f"A tensor of the shape {_short(shape)} reaches value {last} of a storage of {values}."
        )
    return StoredTensor(dtype, tuple(shape), steps, offset, storage)


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a tensor whose values follow one another, the last dimension fastest."""
    strides: list[int] = []
    step = 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


Tensors = Mapping[str, StoredTensor]
"""Tensors by the name that the network gives them."""


def _short(shape: Sequence[int]) -> str:
    """At most ``MAX_DIMENSIONS`` lengths: what a file says is not repeated at any length."""
    shown = ", ".join(str(n) if abs(n) < 10**18 else "huge" for n in shape[:MAX_DIMENSIONS])
    return f"({shown}{', ...' if len(shape) > MAX_DIMENSIONS else ''})"
