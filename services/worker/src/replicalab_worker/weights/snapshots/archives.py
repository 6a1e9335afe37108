"""Zip archives, the format of torch.save since 1.6: never imported, but refused with a reason.

They hold a state dict at best, which does not say which network it belongs to.
"""

import struct

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.cursor import Cursor
from replicalab_worker.weights.snapshots.machine import Vocabulary
from replicalab_worker.weights.snapshots.opcodes import Budget, read_pickle
from replicalab_worker.weights.snapshots.records import Global
from replicalab_worker.weights.snapshots.refusals import shown

SIGNATURE = b"PK\x03\x04"
_LOCAL_HEADER = "<4s5H3I2H"
_STORED = 0
_STORAGES = ("FloatStorage", "HalfStorage", "LongStorage", "BFloat16Storage", "DoubleStorage")
_STATE_DICT = Vocabulary(
    callables={
        Global("collections", "OrderedDict"): lambda _: {},
        Global("torch._utils", "_rebuild_tensor_v2"): lambda _: None,
        Global("torch._utils", "_rebuild_parameter"): lambda _: None,
    },
    names=frozenset(Global("torch", name) for name in _STORAGES),
    persistent=lambda _: None,
)


def refusal_of(file: bytes) -> UnsafeCheckpoint:
    """Why the archive is not imported; foreign names are told.

    Its directory is not read, for it can list any number of entries, nor is anything unpacked:
    torch.save writes the pickle first, and as it is.
    """
    try:
        cursor = _first_entry(Cursor(memoryview(file)))
        read_pickle(cursor, _STATE_DICT, Budget())
    except UnsafeCheckpoint as refusal:
        return refusal
    return UnsafeCheckpoint(
        "The file is a zip archive of torch.save. It does not say which network its weights belong "
        "to: import the snapshot they come from, or a safetensors file with its description."
    )


def _first_entry(cursor: Cursor) -> Cursor:
    """A cursor at the bytes of the first entry, which must be the pickle of torch.save."""
    _, _, _, method, _, _, _, _, _, name_bytes, extra_bytes = struct.unpack(
        _LOCAL_HEADER, cursor.take(struct.calcsize(_LOCAL_HEADER), "the header of a zip archive")
    )
    name = bytes(cursor.take(name_bytes, "a name")).decode("utf-8", errors="replace")
    cursor.take(extra_bytes, "a header")
    if method != _STORED or name.rsplit("/", 1)[-1] != "data.pkl":
        compressed = "" if method == _STORED else " compressed, which torch.save never does"
        raise UnsafeCheckpoint(
            f"The zip archive begins with {shown(name)}{compressed}; it was not unpacked."
        )
    return cursor
