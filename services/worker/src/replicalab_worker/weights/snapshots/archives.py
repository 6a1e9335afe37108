"""Zip archives, the format of torch.save since 1.6: never imported, but refused with a reason.

They hold a state dict at best, which does not say which network it belongs to.
"""

import io
import zipfile
from collections.abc import Iterator

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.cursor import Cursor
from replicalab_worker.weights.snapshots.machine import Vocabulary
from replicalab_worker.weights.snapshots.opcodes import read_pickle
from replicalab_worker.weights.snapshots.records import Global
from replicalab_worker.weights.snapshots.refusals import shown

SIGNATURE = b"PK\x03\x04"
LARGEST_PICKLE_BYTES = 16 * 2**20
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

    Nothing is extracted but ``data.pkl``, and that only where it is small and not compressed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            for raw in _pickles(archive):
                read_pickle(Cursor(memoryview(raw)), _STATE_DICT)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        return UnsafeCheckpoint(f"The zip archive cannot be read: {shown(str(error))}.")
    except UnsafeCheckpoint as refusal:
        return refusal
    return UnsafeCheckpoint(
        "The file is a zip archive of torch.save. It does not say which network its weights belong "
        "to: import the snapshot they come from, or a safetensors file with its description."
    )


def _pickles(archive: zipfile.ZipFile) -> Iterator[bytes]:
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise UnsafeCheckpoint(
                f"The zip archive holds {shown(entry.filename)} compressed, which torch.save never "
                f"does ({entry.compress_size} bytes claim to be {entry.file_size})."
            )
        if entry.filename.rsplit("/", 1)[-1] != "data.pkl":
            continue
        if entry.file_size > LARGEST_PICKLE_BYTES:
            raise UnsafeCheckpoint(f"data.pkl of the zip archive claims {entry.file_size} bytes.")
        with archive.open(entry) as file:
            yield file.read(LARGEST_PICKLE_BYTES)
