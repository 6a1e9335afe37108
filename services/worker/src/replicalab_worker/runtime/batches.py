"""Many items through a network in few passes, as large as memory allows and no larger."""

import gc
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from replicalab.errors import OutOfMemory

Result = TypeVar("Result")

MEMORY_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")
"""What the allocators of torch say in a plain RuntimeError, in lower case."""


def in_batches(count: int, largest: int, run: Callable[[int, int], Result]) -> Iterator[Result]:
    """Results of ``run(first, size)`` over consecutive batches of ``count`` items.

    A batch that does not fit the memory is run again in halves, and so are all after it.

    Args:
        count: Items in all.
        largest: Items to try at once, at least 1.
        run: Handles items ``first`` to ``first + size - 1``. It must be able to start again, and
            its results must not depend on how the items are grouped.

    Raises:
        OutOfMemory: Not even one item fits.
    """
    first, size = 0, largest
    while first < count:
        size = min(size, count - first)
        result = _attempt(run, first, size)
        if isinstance(result, _NoMemory):
            _free_memory()
            size = _smaller(size, result)
            continue
        yield result
        first += size


class _NoMemory:
    """That a batch did not fit, and what the allocator said.

    It keeps no exception: its traceback would keep the tensors of the batch.
    """

    def __init__(self, said: str) -> None:
        self.said = said


def _attempt(run: Callable[[int, int], Result], first: int, size: int) -> Result | _NoMemory:
    try:
        return run(first, size)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _NoMemory(str(error))


def _smaller(size: int, refusal: _NoMemory) -> int:
    if size == 1:
        raise OutOfMemory(f"Not even one image fits the memory of this worker: {refusal.said}")
    return size // 2


def is_out_of_memory(error: Exception) -> bool:
    """Whether ``error`` says that memory ran out, on the processor or on a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return any(message in said for message in MEMORY_MESSAGES)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
