"""Arrays in artifacts: npz without pickles, equal arrays giving equal bytes."""

import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from replicalab.errors import InvalidImageSet, InvalidMeasureInput

Array = npt.NDArray[Any]


def pack(arrays: Mapping[str, Array]) -> bytes:
    """An uncompressed npz of ``arrays`` in the order given."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(body: bytes) -> dict[str, Array]:
    """The arrays of an npz; object arrays are refused with ``InvalidImageSet``."""
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, KeyError) as error:
        raise InvalidImageSet(f"Not an npz of plain arrays: {error}") from error


def unpack_measured(body: bytes, names: Collection[str]) -> dict[str, Array]:
    """As ``unpack``; raises ``InvalidMeasureInput`` unless arrays of all ``names`` are there."""
    arrays = unpack(body)
    missing = set(names) - arrays.keys()
    if missing:
        raise InvalidMeasureInput(f"The npz lacks {', '.join(sorted(missing))}.")
    return arrays
