"""Reading safetensors files that nobody vouches for, and writing them without a second copy.

A file is eight bytes that tell the length of the header, the header (JSON), and the values.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.tensors import (
    FLOAT16,
    FLOAT32,
    MAX_TENSORS,
    Dtype,
    StoredTensor,
    Tensors,
    stored_tensor,
)

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 16 * 2**20
METADATA = "__metadata__"
_DTYPES: Mapping[str, Dtype] = {"F32": FLOAT32, "F16": FLOAT16}


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    dtype: str
    shape: list[int]
    data_offsets: list[int] = Field(min_length=2, max_length=2)


_ENTRIES: TypeAdapter[dict[str, _Entry]] = TypeAdapter(dict[str, _Entry])
_TEXTS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


def read_safetensors(body: bytes) -> tuple[Tensors, Mapping[str, str]]:
    """The tensors of a safetensors file, values untouched, and its metadata.

    Raises:
        UnsafeCheckpoint: The header does not describe exactly the bytes that follow it.
    """
    header, values = _split(memoryview(body))
    metadata = header.pop(METADATA, {})
    if len(header) > MAX_TENSORS:
        raise UnsafeCheckpoint(f"The safetensors header lists {len(header)} tensors.")
    try:
        entries = _ENTRIES.validate_python(header)
        texts = _TEXTS.validate_python(metadata)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/".join(str(step)[:80] for step in first["loc"])
        raise UnsafeCheckpoint(f"The safetensors header at {where}: {first['msg']}.") from error
    return dict(_tensors(entries, values)), texts


def write_safetensors(arrays: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """A safetensors file of float32 arrays, made in one piece from views of them."""
    header: dict[str, dict[str, object]] = {}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    values = (np.ascontiguousarray(a).data.cast("B") for a in arrays.values())
    return b"".join([len(text).to_bytes(LENGTH_BYTES, "little"), text, *values])


def _split(body: memoryview) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(body[:LENGTH_BYTES], "little")
    end = LENGTH_BYTES + length
    if length > MAX_HEADER_BYTES or end > len(body):
        raise UnsafeCheckpoint(
            f"The safetensors header claims {length} bytes; the file has {len(body)}."
        )
    try:
        header = json.loads(bytes(body[LENGTH_BYTES:end]))
    except (ValueError, RecursionError) as error:
        raise UnsafeCheckpoint("The safetensors header is not JSON.") from error
    if not isinstance(header, dict):
        raise UnsafeCheckpoint("The safetensors header is not a JSON object.")
    return header, body[end:]


def _tensors(
    entries: Mapping[str, _Entry], values: memoryview
) -> Iterator[tuple[str, StoredTensor]]:
    """Every tensor, once the whole is known to be cut without gaps and overlaps."""
    expected = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        start, end = entry.data_offsets
        if start != expected or not start <= end <= len(values):
            raise UnsafeCheckpoint(
                f"The values of {name[:80]!r} lie at {start} to {end}, expected from {expected} to "
                f"at most {len(values)}: they overlap, leave a gap or lie outside of the file."
            )
        expected = end
        yield name, _tensor(name, entry, values[start:end])
    if expected != len(values):
        raise UnsafeCheckpoint(f"{len(values) - expected} bytes of the file belong to no tensor.")


def _tensor(name: str, entry: _Entry, values: memoryview) -> StoredTensor:
    dtype = _DTYPES.get(entry.dtype)
    if dtype is None:
        raise UnsafeCheckpoint(
            f"{name[:80]!r} is of the type {entry.dtype[:20]!r}; only "
            f"{' and '.join(_DTYPES)} are read."
        )
    tensor = stored_tensor(dtype, entry.shape, values)
    if tensor.size * dtype.itemsize != len(values):
        raise UnsafeCheckpoint(f"{name[:80]!r} has more bytes than its shape has values.")
    return tensor
