"""Numbers inside snapshots: each storage is a file of its own, in torch's old format.

Five pickles (a magic number, the protocol, the machine it was written on, the storage, its key),
then the number of items and the items.
"""

from collections.abc import Mapping
from typing import NamedTuple

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.cursor import Cursor
from replicalab_worker.weights.snapshots.machine import Vocabulary
from replicalab_worker.weights.snapshots.opcodes import Budget, read_pickle
from replicalab_worker.weights.snapshots.records import Global, Storage
from replicalab_worker.weights.tensors import FLOAT16, FLOAT32, INT64, Dtype

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
DTYPES: Mapping[Global, Dtype] = {
    Global("torch", "FloatStorage"): FLOAT32,
    Global("torch", "HalfStorage"): FLOAT16,
    Global("torch", "LongStorage"): INT64,
}


class _Header(NamedTuple):
    dtype: Dtype
    items: int


_PLAIN = Vocabulary()


def read_storage(file: memoryview, budget: Budget) -> Storage:
    """The storage in ``file``; its numbers stay where they are.

    Raises:
        UnsafeCheckpoint: It is no such file, or not as long as it says.
    """
    cursor = Cursor(file)
    if (read_pickle(cursor, _PLAIN, budget), read_pickle(cursor, _PLAIN, budget)) != (
        MAGIC_NUMBER,
        PROTOCOL,
    ):
        raise UnsafeCheckpoint("The numbers of a tensor are not in the format of torch.save.")
    machine = read_pickle(cursor, _PLAIN, budget)
    if not (isinstance(machine, dict) and machine.get("little_endian") is True):
        raise UnsafeCheckpoint("The numbers of a tensor are not little-endian.")
    header = read_pickle(
        cursor, Vocabulary(names=frozenset(DTYPES), persistent=_read_header), budget
    )
    read_pickle(cursor, _PLAIN, budget)  # the keys: there is only one storage
    if not isinstance(header, _Header):
        raise UnsafeCheckpoint("The numbers of a tensor have no storage.")
    dtype, items = header
    if cursor.unsigned(8, "the size of a storage") != items:
        raise UnsafeCheckpoint("A storage has two different sizes.")
    data = cursor.take(items * dtype.itemsize, f"a storage of {items} numbers")
    if len(cursor.rest()):
        raise UnsafeCheckpoint("Something follows the numbers of a storage.")
    return Storage(dtype, data)


def _read_header(identity: tuple[object, ...]) -> _Header:
    """Type and size from ("storage", type, key, device, items[, view])."""
    match identity:
        case ("storage", Global() as name, _, _, int(items), *view) if (
            items >= 0 and name in DTYPES and view in ([], [None])
        ):
            return _Header(DTYPES[name], items)
        case _:
            raise UnsafeCheckpoint("A storage is described in an unknown way.")
