"""A safetensors file is believed in nothing that its bytes do not bear out."""

import json
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.safetensors_files import read_safetensors, write_safetensors

ARRAYS = {
    "bias": np.arange(3, dtype=np.float32),
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
}


def written(header: object, values: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def entry(start: int, end: int, **changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [start, end]} | changes


def test_what_the_library_writes_is_read_and_the_other_way_round() -> None:
    tensors, metadata = read_safetensors(save(ARRAYS, {"note": "hello"}))
    assert metadata == {"note": "hello"}
    assert tensors.keys() == ARRAYS.keys()
    assert all(np.array_equal(tensors[name].read(), value) for name, value in ARRAYS.items())
    again = load(write_safetensors(ARRAYS))
    assert again.keys() == ARRAYS.keys()
    assert all(np.array_equal(again[name], value) for name, value in ARRAYS.items())


def test_half_precision_becomes_single() -> None:
    halves = {"x": np.array([0.5, 65504, 6e-8], np.float16)}
    tensors, _ = read_safetensors(save(halves))
    values = tensors["x"].read()
    assert values.dtype == np.float32
    assert np.array_equal(values, halves["x"].astype(np.float32))


def test_a_transposed_array_is_written_in_the_order_of_its_shape() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert np.array_equal(load(write_safetensors({"x": array}))["x"], array)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (written({})[:5], "claims"),
        ((10**10).to_bytes(8, "little") + b"{}", "claims 10000000000 bytes"),
        (written(b"{" * 100_000), "not JSON"),
        (written(b"[1]"), "not a JSON object"),
        (written({"x": entry(0, 8)}, b"\0" * 4), "outside of the file"),
        (written({"x": entry(4, 12)}, b"\0" * 12), "leave a gap"),
        (written({"x": entry(-8, 0)}, b""), "at -8"),
        (written({"x": entry(0, 8), "y": entry(4, 12)}, b"\0" * 12), "overlap"),
        (written({"x": entry(0, 8), "y": entry(0, 8)}, b"\0" * 8), "overlap"),
        (written({"x": entry(0, 8)}, b"\0" * 12), "4 bytes of the file belong to no tensor"),
        (written({"x": entry(0, 8, shape=[3])}, b"\0" * 8), "shape"),
        (written({"x": entry(0, 8, shape=[1])}, b"\0" * 8), "more bytes than its shape"),
        (written({"x": entry(0, 8, shape=[10**10, 10**10])}, b"\0" * 8), "shape"),
        (written({"x": entry(0, 8, shape=[-1, -2])}, b"\0" * 8), "shape"),
        (written({"x": entry(0, 8, shape=[1] * 99 + [2])}, b"\0" * 8), "shape"),
        (written({"x": entry(0, 8, dtype="I64", shape=[1])}, b"\0" * 8), "'I64'"),
        (written({"x": entry(0, 8, code="os.system")}, b"\0" * 8), "x/code"),
        (written({"x": {"dtype": "F32"}}), "x/shape"),
        (written({"__metadata__": {"a": {"b": 1}}}), "at a"),
    ],
)
def test_a_header_that_lies_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(UnsafeCheckpoint, match=says):
        read_safetensors(body)
